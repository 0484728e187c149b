import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicLong;

import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.utils.MessageUtil;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** A push consumer that tells of each message and of the queues it owns. */
final class Consuming {
    private final Peer peer;
    private final DefaultMQPushConsumer consumer;
    private final AtomicLong first = new AtomicLong();
    private final AtomicLong all = new AtomicLong();
    private final int work;
    private final int failEvery;
    private final int panicEvery;
    private final int deadEvery;
    private final int retryLevel;
    private final boolean brief;
    private final boolean quiet;
    private final int reply;
    private DefaultMQProducer replier;

    Consuming(Peer peer) {
        this.peer = peer;
        String trace = peer.text("trace-topic", "");
        consumer = new DefaultMQPushConsumer(peer.text("group", ""), !trace.isEmpty(), trace);
        work = millis(peer.text("work", "0s"));
        failEvery = peer.number("fail-every", 0);
        panicEvery = peer.number("panic-every", 0);
        deadEvery = peer.number("dead-every", 0);
        retryLevel = peer.number("retry-level", 1);
        brief = peer.has("brief");
        quiet = peer.has("quiet");
        reply = peer.number("reply", 0);
    }

    void run() throws Exception {
        peer.configure(consumer);
        consumer.setConsumeFromWhere(
            peer.has("earliest") ? ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET : ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET);
        consumer.setConsumeThreadMax(peer.number("workers", 20));
        consumer.setConsumeThreadMin(peer.number("workers", 20));
        if (peer.number("max-attempts", 0) > 0) {
            consumer.setMaxReconsumeTimes(peer.number("max-attempts", 0) - 1);
        }
        consumer.subscribe(peer.text("topic", ""), peer.text("tags", "*"));
        if (peer.has("orderly")) {
            consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
                if (handle(messages).equals("ok")) {
                    return ConsumeOrderlyStatus.SUCCESS;
                }
                context.setSuspendCurrentQueueTimeMillis(100);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            });
        } else {
            consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
                String verdict = handle(messages);
                if (verdict.equals("ok")) {
                    return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                }
                context.setDelayLevelWhenNextConsume(verdict.equals("dead") ? -1 : retryLevel);
                return ConsumeConcurrentlyStatus.RECONSUME_LATER;
            });
        }
        if (reply > 0) {
            replier = new DefaultMQProducer(peer.text("group", "") + "-replier");
            peer.configure(replier);
            replier.start();
        }
        consumer.start();
        String id = consumer.buildMQClientId();
        Peer.say(new Line("ready").with("client", id));
        Peer.watch(() -> {
            TreeSet<String> queues = new TreeSet<>();
            for (MessageQueue q : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet()) {
                queues.add(q.getTopic() + "/" + q.getBrokerName() + "/" + q.getQueueId());
            }
            Line line = new Line("queues").with("client", id);
            queues.forEach(q -> line.with("q", q));
            return line;
        });
        if (quiet) {
            Peer.watch(() -> new Line("count").with("n", all.get()));
        }
        Peer.commands(line -> { });
        consumer.shutdown();
    }

    /** Go's way to write a duration, as far as the driver uses it: 1.5ms, 2s. */
    private static int millis(String duration) {
        boolean milli = duration.endsWith("ms");
        double n = Double.parseDouble(duration.substring(0, duration.length() - (milli ? 2 : 1)));
        return (int) Math.round(milli ? n : n * 1000);
    }

    private String handle(List<MessageExt> messages) {
        long began = micros();
        if (work > 0) {
            try {
                Thread.sleep(work);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
        String verdict = "ok";
        for (MessageExt m : messages) { // one, as the batch size is the default
            all.incrementAndGet();
            answer(m);
            if (m.getReconsumeTimes() == 0) {
                verdict = verdict(first.incrementAndGet());
            }
            if (!quiet) {
                Peer.say(received(m, verdict, began));
            }
        }
        if (verdict.equals("panic")) {
            throw new IllegalStateException("on purpose");
        }
        return verdict;
    }

    /** Replies to a request. */
    private void answer(MessageExt m) {
        if (replier == null || m.getProperty(MessageConst.PROPERTY_CORRELATION_ID) == null) {
            return;
        }
        try {
            String body = "re: " + new String(m.getBody(), StandardCharsets.UTF_8);
            byte[] bytes = (body + "x".repeat(Math.max(0, reply - body.length()))).getBytes(StandardCharsets.UTF_8);
            replier.send(MessageUtil.createReplyMessage(m, bytes));
        } catch (Exception e) {
            Peer.fail("reply: " + e);
        }
    }

    private static long micros() {
        Instant now = Instant.now();
        return now.getEpochSecond() * 1_000_000 + now.getNano() / 1000;
    }

    private String verdict(long n) {
        if (panicEvery > 0 && n % panicEvery == 0) {
            return "panic";
        }
        if (deadEvery > 0 && n % deadEvery == 0) {
            return "dead";
        }
        return failEvery > 0 && n % failEvery == 0 ? "retry" : "ok";
    }

    private Line received(MessageExt m, String verdict, long began) {
        Line line = new Line("got").with("topic", m.getTopic()).with("broker", m.getBrokerName()).with("queue", m.getQueueId())
            .with("offset", m.getQueueOffset()).with("attempt", m.getReconsumeTimes() + 1).with("verdict", verdict)
            .with("began", began).with("ended", micros());
        if (brief) {
            return line.with("body", new String(m.getBody(), StandardCharsets.ISO_8859_1).split(" ", 2)[0]);
        }
        line.with("body", m.getBody()).with("tag", m.getTags()).with("keys", m.getKeys())
            .with("sharding", m.getProperty(MessageConst.PROPERTY_SHARDING_KEY)).with("id", m.getMsgId());
        if (m instanceof MessageClientExt) {
            line.with("offsetid", ((MessageClientExt) m).getOffsetMsgId());
        }
        for (Map.Entry<String, String> property : m.getProperties().entrySet()) {
            line.with("p." + property.getKey(), property.getValue());
        }
        return line;
    }
}
