package skald;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * What the bench says to a peer, line by line on standard input, and what it answers, a line of JSON for each:
 *
 * <pre>
 *   check FILE           how many matches there are in a file of events; stopped after a minute
 *   warm SECONDS MOST    passes over the events, none of them counted; stopped after the most
 *   pass SECONDS         one pass with a fresh engine: matches, events, seconds, and those of all its threads; stopped after so many
 * </pre>
 *
 * Events are made before the clock. A pass that is stopped, or for which there is no memory, answers with what it came to
 * ("ended": false) and is the last one.
 */
abstract class Peer {
  /** One engine with a case deployed. */
  interface Engine extends AutoCloseable {
    void push(Ev event) throws Exception;

    long matches();

    @Override
    void close() throws Exception;
  }

  abstract Engine open(String form, int window) throws Exception;

  private static final com.sun.management.OperatingSystemMXBean SYSTEM =
      (com.sun.management.OperatingSystemMXBean) java.lang.management.ManagementFactory.getOperatingSystemMXBean();

  private volatile int done;
  private volatile long began;
  private volatile long beganCpu;
  private long took;
  private long tookCpu;

  void serve(String[] args) throws Exception {
    var form = args[0];
    var window = Integer.parseInt(args[1]);
    var events = read(args[2]);
    var in = new BufferedReader(new InputStreamReader(System.in));
    for (var line = in.readLine(); line != null; line = in.readLine()) {
      var words = line.split(" ", 2);
      switch (words[0]) {
        case "check" -> {
          var checked = read(words[1]);
          limited(60, () -> {
            var matches = pass(form, window, checked);
            answer(matches, checked.length, took, tookCpu, true);
          });
        }
        case "warm" -> {
          var seconds = words[1].split(" ");
          var until = System.nanoTime() + (long) (Double.parseDouble(seconds[0]) * 1e9);
          limited(Double.parseDouble(seconds[1]), () -> {
            while (System.nanoTime() < until) pass(form, window, events);
            answer(0, events.length, took, tookCpu, true);
          });
        }
        case "pass" -> limited(Double.parseDouble(words[1]), () -> {
          var matches = pass(form, window, events);
          answer(matches, events.length, took, tookCpu, true);
        });
        default -> throw new IllegalArgumentException(line);
      }
    }
  }

  private interface Work {
    void run() throws Exception;
  }

  private void limited(double seconds, Work work) throws Exception {
    began = System.nanoTime();
    var watch = new Thread(() -> {
      try {
        Thread.sleep((long) (seconds * 1000));
        answer(-1, done, System.nanoTime() - began, SYSTEM.getProcessCpuTime() - beganCpu, false);
        Runtime.getRuntime().halt(0);
      } catch (InterruptedException ended) {
        // in time
      }
    });
    watch.setDaemon(true);
    watch.start();
    try {
      work.run();
    } catch (OutOfMemoryError none) {
      answer(-1, done, System.nanoTime() - began, SYSTEM.getProcessCpuTime() - beganCpu, false);
      Runtime.getRuntime().halt(0);
    } finally {
      watch.interrupt();
      watch.join();
    }
  }

  private long pass(String form, int window, Ev[] events) throws Exception {
    try (var engine = open(form, window)) {
      done = 0;
      beganCpu = SYSTEM.getProcessCpuTime();
      began = System.nanoTime();
      for (var event : events) {
        engine.push(event);
        done++;
      }
      // what closing takes is not of the pass
      took = System.nanoTime() - began;
      tookCpu = SYSTEM.getProcessCpuTime() - beganCpu;
      return engine.matches();
    }
  }

  private static synchronized void answer(long matches, int events, long nanos, long cpu, boolean ended) {
    System.out.printf(
        java.util.Locale.ROOT,
        "{\"matches\":%d,\"events\":%d,\"seconds\":%.6f,\"cpu\":%.6f,\"ended\":%b}%n",
        matches, events, nanos / 1e9, cpu / 1e9, ended);
    System.out.flush();
  }

  /** Four whole numbers of 32 bits an event, the low byte first: type, key, value, time. */
  private static Ev[] read(String file) throws IOException {
    var numbers = ByteBuffer.wrap(Files.readAllBytes(Path.of(file))).order(ByteOrder.LITTLE_ENDIAN).asIntBuffer();
    Map<Integer, String> keys = new HashMap<>();
    var events = new Ev[numbers.remaining() / 4];
    for (var n = 0; n < events.length; n++) {
      var type = numbers.get();
      var key = keys.computeIfAbsent(numbers.get(), (number) -> "k" + number);
      events[n] = Ev.of(type, key, numbers.get(), numbers.get());
    }
    return events;
  }
}
