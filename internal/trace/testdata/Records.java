import java.util.ArrayList;
import java.util.List;
import org.apache.rocketmq.client.AccessChannel;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.client.trace.TraceTransferBean;
import org.apache.rocketmq.client.trace.TraceType;
import org.apache.rocketmq.common.message.MessageType;

/**
 * Prints what RocketMQ's TraceDataEncoder makes of the records in record_test.go, a line each: name, TAB, the record with
 * \001 and \002 for its separators, TAB, the number of keys. Run in this directory, after `make up` has fetched the jars:
 *
 *   java -cp "$HOME/.cache/rocketkit/rocketmq-5.5.0/*" Records.java | grep -P '\t' > records-5.5.0.tsv
 */
public class Records {
    public static void main(String[] args) {
        for (boolean bare : new boolean[] {false, true}) {
            for (TraceType type : TraceType.values()) {
                print(type, bare);
            }
        }
    }

    static void print(TraceType type, boolean bare) {
        TraceBean bean = new TraceBean();
        bean.setTopic("orders");
        bean.setMsgId("7F0000010001");
        bean.setOffsetMsgId("7F00000100002A9F0000000000000000");
        bean.setTags(bare ? null : "paid");
        bean.setKeys(bare ? null : "k1 k2");
        bean.setStoreHost("127.0.0.1:10911");
        bean.setBodyLength(42);
        bean.setRetryTimes(3);
        bean.setMsgType(type == TraceType.EndTransaction ? MessageType.Trans_msg_Commit : bare ? MessageType.Normal_Msg : MessageType.Delay_Msg);
        bean.setTransactionId("7F0000010001");
        bean.setTransactionState(bare ? LocalTransactionState.ROLLBACK_MESSAGE : LocalTransactionState.COMMIT_MESSAGE);
        bean.setFromTransactionCheck(!bare);
        TraceContext context = new TraceContext();
        context.setTraceType(type);
        context.setTimeStamp(1700000000123L);
        context.setRegionId("DefaultRegion");
        context.setGroupName("billing");
        context.setCostTime(7);
        context.setSuccess(!bare);
        context.setRequestId("7F0000010002");
        context.setContextCode(bare ? 4 : 0);
        context.setAccessChannel(AccessChannel.LOCAL);
        List<TraceBean> beans = new ArrayList<>();
        beans.add(bean);
        context.setTraceBeans(beans);
        TraceTransferBean made = TraceDataEncoder.encoderFromContextBean(context);
        String text = made.getTransData().replace("\u0001", "\\001").replace("\u0002", "\\002");
        System.out.println(type + (bare ? " bare" : "") + "\t" + text + "\t" + made.getTransKey().size());
    }
}
