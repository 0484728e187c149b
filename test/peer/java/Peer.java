import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;

import org.apache.rocketmq.client.ClientConfig;

/**
 * Apache's Java client as a peer: a producer or a consumer that is driven over standard input and tells what happens on
 * standard output. The words are those of package line, the flags those of clientgo.
 */
public final class Peer {
    private static final PrintStream OUT = System.out;

    private final Map<String, String> flags = new HashMap<>();

    private Peer(String[] args) {
        for (int i = 1; i < args.length; i++) {
            String flag = args[i].replaceFirst("^--?", "");
            int equals = flag.indexOf('=');
            flags.put(equals < 0 ? flag : flag.substring(0, equals), equals < 0 ? "true" : flag.substring(equals + 1));
        }
    }

    public static void main(String[] args) {
        try {
            Peer peer = new Peer(args);
            switch (args.length == 0 ? "" : args[0]) {
                case "produce":
                    new Producing(peer).run();
                    break;
                case "consume":
                    new Consuming(peer).run();
                    break;
                case "bench":
                    new Benching(peer).run();
                    break;
                default:
                    fail("what to do: produce, consume or bench");
            }
            say(new Line("stopped"));
            Runtime.getRuntime().halt(0); // the client leaves threads that would keep the process
        } catch (Throwable e) {
            e.printStackTrace();
            fail(e.toString());
        }
    }

    static void fail(String why) {
        System.err.println("peer: " + why);
        Runtime.getRuntime().halt(1);
    }

    String text(String flag, String otherwise) {
        return flags.getOrDefault(flag, otherwise);
    }

    int number(String flag, int otherwise) {
        return Integer.parseInt(flags.getOrDefault(flag, Integer.toString(otherwise)));
    }

    boolean has(String flag) {
        return Boolean.parseBoolean(flags.get(flag));
    }

    /** Sets what producers and consumers have in common. */
    @SuppressWarnings("deprecation") // setNamespace: what migrating services use
    void configure(ClientConfig client) {
        client.setNamesrvAddr(text("namesrv", ""));
        if (!text("namespace", "").isEmpty()) {
            client.setNamespace(text("namespace", ""));
        }
        if (number("timeout-ms", 0) > 0) {
            client.setMqClientApiTimeout(number("timeout-ms", 0));
        }
    }

    /** Prints an event. One write, so that a kill never tears a line. */
    static void say(Line line) {
        byte[] bytes = (line + "\n").getBytes(StandardCharsets.US_ASCII);
        synchronized (OUT) {
            OUT.write(bytes, 0, bytes.length);
            OUT.flush();
        }
    }

    /** Hands each command to a consumer, until one is stop or there are no more. */
    static void commands(Consumer<Line> todo) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String text; (text = in.readLine()) != null; ) {
            Line line = Line.parse(text);
            if (line.verb.equals("stop")) {
                return;
            }
            todo.accept(line);
        }
        // The driver is gone. Shut down in order, but don't outlive it.
        daemon(() -> {
            Thread.sleep(5000);
            Runtime.getRuntime().halt(1);
        });
    }

    /** Says something whenever it has changed. */
    static void watch(Supplier<Line> look) {
        daemon(() -> {
            for (String last = ""; ; Thread.sleep(100)) {
                Line line = look.get();
                if (!line.toString().equals(last)) {
                    last = line.toString();
                    say(line);
                }
            }
        });
    }

    interface Work {
        void run() throws Exception;
    }

    static Thread daemon(Work work) {
        Thread thread = new Thread(() -> {
            try {
                work.run();
            } catch (Exception e) {
                fail(e.toString());
            }
        });
        thread.setDaemon(true);
        thread.start();
        return thread;
    }
}
