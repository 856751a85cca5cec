package skald;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.state.AggregatingState;
import org.apache.flink.api.common.state.AggregatingStateDescriptor;
import org.apache.flink.api.common.state.KeyedStateStore;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ReducingState;
import org.apache.flink.api.common.state.ReducingStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.cep.configuration.SharedBufferCacheConfig;
import org.apache.flink.cep.nfa.NFA;
import org.apache.flink.cep.nfa.NFAState;
import org.apache.flink.cep.nfa.aftermatch.AfterMatchSkipStrategy;
import org.apache.flink.cep.nfa.compiler.NFACompiler;
import org.apache.flink.cep.nfa.sharedbuffer.SharedBuffer;
import org.apache.flink.cep.pattern.Pattern;
import org.apache.flink.cep.pattern.conditions.IterativeCondition;
import org.apache.flink.cep.pattern.conditions.SimpleCondition;

/** Flink's automaton as its operator drives it, over a shared buffer in plain maps; no cluster, no serialisation. */
public final class FlinkPeer extends Peer {
  private static final TypeSerializer<Ev> SERIALIZER =
      TypeInformation.of(Ev.class).createSerializer(new ExecutionConfig());

  private static SimpleCondition<Ev> is(int type) {
    return SimpleCondition.of((event) -> event.type == type);
  }

  /** Greater than the one event that a step has taken. */
  private static IterativeCondition<Ev> above(int type, String step) {
    return new IterativeCondition<>() {
      @Override
      public boolean filter(Ev event, Context<Ev> context) throws Exception {
        return event.type == type && event.value > context.getEventsForPattern(step).iterator().next().value;
      }
    };
  }

  private static Pattern<Ev, ?> pattern(String form, int window) {
    var first = Pattern.<Ev>begin("a", AfterMatchSkipStrategy.noSkip()).where(is(0));
    return switch (form) {
      case "any" -> first.followedByAny("b").where(is(1)).followedByAny("c").where(is(2)).followedByAny("d").where(is(3))
          .within(Duration.ofMillis(window));
      case "relaxed" -> first.followedBy("b").where(is(1)).followedBy("c").where(is(2)).within(Duration.ofMillis(window));
      case "correlated" -> first.followedBy("b").where(above(1, "a")).followedBy("c").where(above(2, "b"))
          .within(Duration.ofMillis(window));
      case "negation" -> first.notFollowedBy("n").where(is(4)).followedBy("b").where(is(1))
          .within(Duration.ofMillis(window));
      case "strict" -> first.next("b").where(is(1)).next("c").where(is(2));
      case "loop" -> first.next("b").where(is(1)).timesOrMore(2).consecutive().next("c").where(is(2));
      default -> throw new IllegalArgumentException(form);
    };
  }

  private static boolean keyed(String form) {
    return form.equals("relaxed") || form.equals("correlated") || form.equals("negation");
  }

  @Override
  Engine open(String form, int window) throws Exception {
    return new Pass(NFACompiler.compileFactory(pattern(form, window), false).createNFA(), keyed(form));
  }

  private static final class Pass implements Engine {
    private final NFA<Ev> nfa;
    private final boolean keyed;
    private final InMemory store = new InMemory();
    private final SharedBuffer<Ev> buffer =
        new SharedBuffer<>(store, SERIALIZER, new SharedBufferCacheConfig(8024, 8024, Duration.ofDays(1)));
    private final Map<String, NFAState> states = new HashMap<>();
    private final AfterMatchSkipStrategy skip = AfterMatchSkipStrategy.noSkip();
    private long matches;

    Pass(NFA<Ev> nfa, boolean keyed) {
      this.nfa = nfa;
      this.keyed = keyed;
    }

    @Override
    public void push(Ev event) throws Exception {
      var key = keyed ? event.key : "";
      store.select(key);
      var state = states.computeIfAbsent(key, (of) -> nfa.createInitialNFAState());
      try (var accessor = buffer.getAccessor()) {
        nfa.advanceTime(accessor, state, event.at, skip);
        matches += nfa.process(accessor, state, event, event.at, skip, () -> 0L).size();
      }
    }

    @Override
    public long matches() {
      return matches;
    }

    @Override
    public void close() throws Exception {
      buffer.releaseCacheStatisticsTimer();
      nfa.close();
    }
  }

  /** State of one key at a time, in plain maps; a shared buffer asks for no other kind. */
  private static final class InMemory implements KeyedStateStore {
    private final List<Consumer<String>> kept = new ArrayList<>();
    private String selected;

    void select(String key) {
      if (key.equals(selected)) return;
      selected = key;
      for (var each : kept) each.accept(key);
    }

    @Override
    public <K, V> MapState<K, V> getMapState(MapStateDescriptor<K, V> of) {
      var maps = new HashMap<String, Map<K, V>>();
      return new MapState<>() {
        private Map<K, V> map = new HashMap<>();

        {
          kept.add((key) -> map = maps.computeIfAbsent(key, (first) -> new HashMap<>()));
        }

        @Override
        public V get(K key) {
          return map.get(key);
        }

        @Override
        public void put(K key, V value) {
          map.put(key, value);
        }

        @Override
        public void putAll(Map<K, V> more) {
          map.putAll(more);
        }

        @Override
        public void remove(K key) {
          map.remove(key);
        }

        @Override
        public boolean contains(K key) {
          return map.containsKey(key);
        }

        @Override
        public Iterable<Map.Entry<K, V>> entries() {
          return map.entrySet();
        }

        @Override
        public Iterable<K> keys() {
          return map.keySet();
        }

        @Override
        public Iterable<V> values() {
          return map.values();
        }

        @Override
        public Iterator<Map.Entry<K, V>> iterator() {
          return map.entrySet().iterator();
        }

        @Override
        public boolean isEmpty() {
          return map.isEmpty();
        }

        @Override
        public void clear() {
          map.clear();
        }
      };
    }

    @Override
    public <T> ValueState<T> getState(ValueStateDescriptor<T> of) {
      throw new UnsupportedOperationException();
    }

    @Override
    public <T> ListState<T> getListState(ListStateDescriptor<T> of) {
      throw new UnsupportedOperationException();
    }

    @Override
    public <T> ReducingState<T> getReducingState(ReducingStateDescriptor<T> of) {
      throw new UnsupportedOperationException();
    }

    @Override
    public <I, A, O> AggregatingState<I, O> getAggregatingState(AggregatingStateDescriptor<I, A, O> of) {
      throw new UnsupportedOperationException();
    }
  }

  public static void main(String[] args) throws Exception {
    new FlinkPeer().serve(args);
  }
}
