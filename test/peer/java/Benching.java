import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

import com.sun.management.OperatingSystemMXBean;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** Measures consuming and sending, with the library's own settings but for the number of threads where one is given. */
final class Benching {
    private static final OperatingSystemMXBean SYSTEM = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final Peer peer;

    Benching(Peer peer) {
        this.peer = peer;
    }

    void run() throws Exception {
        Peer.say(new Line("ready"));
        Peer.commands(line -> Peer.daemon(() -> {
            try {
                Peer.say(measure(line).with("seq", line.get("seq")));
            } catch (Throwable e) {
                Peer.say(new Line("failed").with("seq", line.get("seq")).with("error", e));
            }
        }));
    }

    private Line measure(Line line) throws Exception {
        switch (line.verb + " " + line.get("what")) {
            case "measure consume":
                return consume(line);
            case "measure send":
                return send(line);
            default:
                throw new IllegalArgumentException("no command " + line);
        }
    }

    /** The state of the process at one moment. */
    private static final class Sample {
        final long n;
        final long nanos = System.nanoTime();
        final long cpu = SYSTEM.getProcessCpuTime();

        Sample(long n) {
            this.n = n;
        }

        Line since(Sample first) {
            return new Line("measured").with("n", n - first.n).with("ns", nanos - first.nanos).with("cpu", cpu - first.cpu);
        }
    }

    private static void mark(Line line) {
        Peer.say(new Line("mark").with("seq", line.get("seq")));
    }

    private Line consume(Line line) throws Exception {
        long from = line.number("from");
        long to = line.number("to");
        long all = line.number("all");
        long work = line.number("work") / 1_000_000;
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(line.get("group"));
        peer.configure(consumer);
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        if (line.number("workers") > 0) {
            consumer.setConsumeThreadMax((int) line.number("workers"));
            consumer.setConsumeThreadMin((int) line.number("workers"));
        }
        consumer.subscribe(line.get("topic"), "*");
        AtomicLong count = new AtomicLong();
        AtomicReference<Sample> first = new AtomicReference<>();
        AtomicReference<Sample> last = new AtomicReference<>();
        CountDownLatch done = new CountDownLatch(3); // both samples, and all messages
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            if (work > 0) {
                try {
                    Thread.sleep(work);
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                }
            }
            long n = count.addAndGet(messages.size());
            long before = n - messages.size();
            if (n >= from && before < from) {
                first.set(new Sample(n));
                done.countDown();
                Peer.daemon(() -> mark(line));
            }
            if (n >= to && before < to) {
                last.set(new Sample(n));
                done.countDown();
                Peer.daemon(() -> mark(line));
            }
            if (n >= all && before < all) {
                done.countDown();
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        done.await();
        consumer.shutdown();
        return last.get().since(first.get());
    }

    private Line send(Line line) throws Exception {
        DefaultMQProducer producer = new DefaultMQProducer(line.get("group"));
        peer.configure(producer);
        producer.setSendMsgTimeout(peer.number("timeout-ms", 0));
        producer.start();
        byte[] body = new byte[(int) line.number("size")];
        Arrays.fill(body, (byte) 'x');
        AtomicLong sent = new AtomicLong();
        AtomicReference<Exception> failed = new AtomicReference<>();
        CountDownLatch stop = new CountDownLatch(1);
        List<Thread> callers = new ArrayList<>();
        for (int i = 0; i < line.number("callers"); i++) {
            callers.add(Peer.daemon(() -> {
                while (stop.getCount() > 0) {
                    try {
                        producer.send(new Message(line.get("topic"), body));
                        sent.incrementAndGet();
                    } catch (Exception e) {
                        failed.compareAndSet(null, e);
                        stop.countDown();
                    }
                }
            }));
        }
        Thread.sleep(line.number("warm") / 1_000_000);
        Sample first = new Sample(sent.get());
        mark(line);
        Thread.sleep(line.number("stretch") / 1_000_000);
        Sample last = new Sample(sent.get());
        mark(line);
        stop.countDown();
        for (Thread caller : callers) {
            caller.join();
        }
        producer.shutdown();
        if (failed.get() != null) {
            throw failed.get();
        }
        return last.since(first);
    }
}
