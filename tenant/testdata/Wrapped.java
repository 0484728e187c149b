import org.apache.rocketmq.remoting.protocol.NamespaceUtil;

// Prints what NamespaceUtil makes of names, one per line: namespace, name, wrapped, wrapped as a group's retry topic.
// Run with rocketmq-remoting 5.5.0 and what it depends on as the class path:
//   java -cp ... testdata/Wrapped.java > testdata/namespaceutil-5.5.0.tsv
public class Wrapped {
    public static void main(String[] args) {
        String[] namespaces = {"", "t", "red", "eu-west-1", "0"};
        String[] names = {
            "orders", "Orders_2-x", "-", "_", "t", "red", "RETRY", "DLQ", "DLQ-orders", "billing", "a".repeat(100),
            "TBW102", "TBW1020", "tbw102", "SCHEDULE_TOPIC_XXXX", "BenchmarkTest", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT",
            "TRANS_CHECK_MAX_TIME_TOPIC", "CHECKPOINT_TOPIC", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRANS_HALF_TOPIC",
            "RMQ_SYS_TRANS_OP_HALF_TOPIC", "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC", "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC",
            "rmq_sys_wheel_timer", "rmq_sys_", "RMQ_SYS_orders", "Rmq_Sys_orders", "rmq_sys", "CID_RMQ_SYS_TRANS", "CID_RMQ_SYS_",
            "cid_rmq_sys_trans", "CID_RMQ_SYS", "TOOLS_CONSUMER",
            "%RETRY%billing", "%DLQ%billing", "%RETRY%RETRY", "%DLQ%t", "%RETRY%rmq_sys_x",
        };
        for (String ns : namespaces) {
            for (String name : names) {
                String retry = name.startsWith("%") ? "-" : NamespaceUtil.wrapNamespaceAndRetry(ns, name);
                System.out.printf("%s\t%s\t%s\t%s%n", ns, name, NamespaceUtil.wrapNamespace(ns, name), retry);
            }
        }
    }
}
