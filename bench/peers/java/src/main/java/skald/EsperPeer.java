package skald;

import com.espertech.esper.common.client.EPCompiled;
import com.espertech.esper.common.client.EventSender;
import com.espertech.esper.common.client.configuration.Configuration;
import com.espertech.esper.compiler.client.CompilerArguments;
import com.espertech.esper.compiler.client.EPCompilerProvider;
import com.espertech.esper.runtime.client.EPEventService;
import com.espertech.esper.runtime.client.EPRuntime;
import com.espertech.esper.runtime.client.EPRuntimeProvider;
import com.espertech.esper.runtime.client.EPStatement;

/** Esper, in external time, each case in the best form that finds the very same matches. */
public final class EsperPeer extends Peer {
  private static final Class<?>[] CLASSES = {
    Ev.A.class, Ev.B.class, Ev.C.class, Ev.D.class, Ev.N.class, Ev.X.class
  };

  private final Configuration configuration = new Configuration();
  private EPCompiled compiled;
  private int engines;

  private EsperPeer() {
    configuration.getRuntime().getThreading().setInternalTimerEnabled(false);
    configuration.getCommon().addEventType("Ev", Ev.class);
    for (var n = 0; n < CLASSES.length; n++) configuration.getCommon().addEventType(Ev.NAMES[n], CLASSES[n]);
  }

  /**
   * A pattern's guard ends what was begun as time comes to the window, before an event of that time: strictly less, as ours. Where
   * the first event that fits is the only one, the time is asked when the match is there, which takes a fourth of a guard's time.
   * Filters on the key are found by hash. What is strict is asked of all events, which `match_recognize` does best.
   */
  private static String epl(String form, int window) {
    return switch (form) {
      case "any" -> "select a.at as t from pattern [every a=A -> "
          + "(every b=B -> every c=C -> every d=D) where timer:within(" + window + " msec)]";
      case "anyJoin" -> "select a.at as t from D as d unidirectional, A#time(" + window + " msec) as a, B#time("
          + window + " msec) as b, C#time(" + window + " msec) as c "
          + "where a.at < b.at and b.at < c.at and c.at < d.at and d.at - a.at < " + window;
      case "relaxed" -> "select a.at as t from pattern [every a=A -> b=B(key=a.key) -> c=C(key=a.key)] "
          + "where c.at - a.at < " + window;
      case "correlated" -> "select a.at as t from pattern [every a=A -> b=B(key=a.key, value > a.value) -> "
          + "c=C(key=a.key, value > b.value)] where c.at - a.at < " + window;
      case "negation" -> "select a.at as t from pattern [every a=A -> (b=B(key=a.key) and not N(key=a.key))] "
          + "where b.at - a.at < " + window;
      case "strict" -> recognized("(a b c)");
      case "loop" -> recognized("(a b{2,} c)");
      default -> throw new IllegalArgumentException(form);
    };
  }

  private static String recognized(String pattern) {
    return "select * from Ev match_recognize (measures a.at as t after match skip to next row pattern " + pattern
        + " define a as a.type = 0, b as b.type = 1, c as c.type = 2)";
  }

  @Override
  Engine open(String form, int window) throws Exception {
    if (compiled == null) {
      compiled = EPCompilerProvider.getCompiler().compile(epl(form, window), new CompilerArguments(configuration));
    }
    var runtime = EPRuntimeProvider.getRuntime("pass-" + engines++, configuration);
    runtime.initialize();
    runtime.getEventService().clockExternal();
    runtime.getEventService().advanceTime(0);
    var deployed = runtime.getDeploymentService().deploy(compiled);
    return new Pass(runtime, deployed.getStatements()[0], form.startsWith("any"));
  }

  private static final class Pass implements Engine {
    private final EPRuntime runtime;
    private final EPEventService events;
    private final EventSender[] senders = new EventSender[Ev.NAMES.length];
    /** Whether anything waits for time. */
    private final boolean timed;
    private long matches;

    Pass(EPRuntime runtime, EPStatement statement, boolean timed) {
      this.timed = timed;
      this.runtime = runtime;
      this.events = runtime.getEventService();
      for (var n = 0; n < senders.length; n++) senders[n] = events.getEventSender(Ev.NAMES[n]);
      statement.addListener((found, gone, of, on) -> matches += found.length);
    }

    @Override
    public void push(Ev event) {
      if (timed) events.advanceTime(event.at);
      senders[event.type].sendEvent(event);
    }

    @Override
    public long matches() {
      return matches;
    }

    @Override
    public void close() throws Exception {
      runtime.destroy();
    }
  }

  public static void main(String[] args) throws Exception {
    new EsperPeer().serve(args);
  }
}
