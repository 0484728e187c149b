import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageConst;

/** A producer that sends what it is told to. */
final class Producing {
    private final Peer peer;
    private final DefaultMQProducer producer;
    private final boolean quiet;
    private final AtomicLong count = new AtomicLong();
    private final List<Thread> floods = new ArrayList<>();
    private volatile boolean stop;

    Producing(Peer peer) {
        this.peer = peer;
        String trace = peer.text("trace-topic", "");
        producer = new DefaultMQProducer(peer.text("group", ""), null, !trace.isEmpty(), trace);
        quiet = peer.has("quiet");
    }

    void run() throws Exception {
        peer.configure(producer);
        if (peer.number("timeout-ms", 0) > 0) {
            producer.setSendMsgTimeout(peer.number("timeout-ms", 0));
        }
        producer.start();
        Peer.say(new Line("ready").with("client", producer.buildMQClientId()));
        if (quiet) {
            Peer.watch(() -> new Line("count").with("n", count.get()));
        }
        Peer.commands(this::obey);
        stop = true;
        for (Thread flood : floods) {
            flood.join();
        }
        producer.shutdown();
    }

    private interface Send {
        SendResult send() throws Exception;
    }

    private void obey(Line line) {
        switch (line.verb) {
            case "send":
                answer(line.get("seq"), "", 1, () -> send(line));
                break;
            case "ask":
                ask(line);
                break;
            case "batch":
                List<Message> batch = new ArrayList<>();
                for (String text : line.all("m")) {
                    batch.add(message(Line.parse("send", text)));
                }
                answer(line.get("seq"), "", batch.size(), () -> producer.send(batch));
                break;
            case "flood":
                floods.add(Peer.daemon(() -> flood(line)));
                break;
            default:
                Peer.fail("no command " + line.verb);
        }
    }

    private SendResult send(Line line) throws Exception {
        String key = line.get("sharding");
        return key.isEmpty() ? producer.send(message(line)) : producer.send(message(line), new SelectMessageQueueByHash(), key);
    }

    /** Sends a request and tells of its reply. */
    private void ask(Line line) {
        try {
            Message reply = producer.request(message(line), line.number("ttl"));
            Line told = new Line("got").with("seq", line.get("seq")).with("body", reply.getBody()).with("tag", reply.getTags())
                .with("topic", reply.getTopic());
            reply.getProperties().forEach((name, value) -> told.with("p." + name, value));
            Peer.say(told);
        } catch (Exception e) {
            Peer.say(new Line("failed").with("seq", line.get("seq")).with("error", e));
        }
    }

    /** Sends and tells how it went. */
    private void answer(String seq, String body, int n, Send todo) {
        try {
            SendResult r = todo.send();
            count.addAndGet(n);
            if (quiet && seq.isEmpty()) {
                return;
            }
            Peer.say(new Line("sent").with("seq", seq).with("id", r.getMsgId()).with("offsetid", r.getOffsetMsgId())
                .with("broker", r.getMessageQueue().getBrokerName()).with("queue", r.getMessageQueue().getQueueId())
                .with("offset", r.getQueueOffset()).with("body", body));
        } catch (Exception e) {
            Peer.say(new Line("failed").with("seq", seq).with("error", e).with("body", body));
        }
    }

    /** Sends n messages from several threads, at most rate a second when there is one. */
    private void flood(Line line) throws Exception {
        long n = line.number("n");
        long rate = line.number("rate");
        int size = (int) line.number("size");
        long begin = System.nanoTime();
        AtomicLong next = new AtomicLong();
        List<Thread> senders = new ArrayList<>();
        for (int thread = 0; thread < Math.max(1, peer.number("workers", 20)); thread++) {
            senders.add(Peer.daemon(() -> {
                for (long i; !stop && (i = next.getAndIncrement()) < n; ) {
                    long wait = rate == 0 ? 0 : i * 1_000_000_000 / rate - (System.nanoTime() - begin);
                    if (wait > 0) {
                        Thread.sleep(wait / 1_000_000, (int) (wait % 1_000_000));
                    }
                    String body = line.get("prefix") + "-" + i;
                    byte[] bytes = (body + "x".repeat(Math.max(0, size - body.length()))).getBytes(StandardCharsets.UTF_8);
                    answer("", body, 1, () -> producer.send(new Message(line.get("topic"), bytes)));
                }
            }));
        }
        for (Thread sender : senders) {
            sender.join();
        }
        Peer.say(new Line("flooded").with("seq", line.get("seq")));
    }

    private static Message message(Line line) {
        Message m = new Message(line.get("topic"), line.bytes("body"));
        for (String name : line.names()) {
            if (name.startsWith("p.")) {
                m.putUserProperty(name.substring(2), line.get(name));
            }
        }
        if (!line.get("tag").isEmpty()) {
            m.setTags(line.get("tag"));
        }
        if (!line.get("keys").isEmpty()) {
            m.setKeys(line.get("keys"));
        }
        if (!line.get("sharding").isEmpty()) {
            m.putUserProperty(MessageConst.PROPERTY_SHARDING_KEY, line.get("sharding")); // the library never sets it itself
        }
        if (line.number("delay") > 0) {
            m.setDelayTimeLevel((int) line.number("delay"));
        }
        return m;
    }
}
