// Package mqtest is a RocketMQ cluster inside of a test: name servers and brokers in this process that speak RocketMQ's
// wire protocol as 5.5.0 does and keep their state in memory. No Java, no sockets, no waiting for a boot.
//
//	cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"orders": 4}})
//	client, err := rocketkit.Open(cluster.Config())
//
// Connections are in memory and every delay comes from package time, so that a whole cluster and its clients run in a
// bubble of [testing/synctest], whose clock jumps: 16 retries and a dead letter, or a drain of 30 s, take milliseconds.
// With Config.TCP the cluster serves on the loopback interface instead, for other programs and for RocketMQ's own clients.
//
// Tests wait for states, never for time: [Cluster.WaitConsumed] and its like return as soon as the state is there, in a
// bubble or out of it, and say what is missing when it doesn't come. [Cluster.Messages], [Cluster.DeadLetters],
// [Cluster.Offsets], [Cluster.Members] and their like show what the brokers hold; [Cluster.Tenant] gives all of it by one
// tenant's logical names.
//
// For trouble there are [Cluster.Inject] (an error code, a delay, a broken connection, half a frame, silence, for requests
// of one kind, of one client or at one server), [Cluster.Partition], [Cluster.Stop] and [Cluster.Restart] of brokers and
// name servers, [Cluster.Expire] for messages that retention has deleted, and [Cluster.SetClock] for brokers whose clocks
// jump.
//
// # What it imitates
//
// Routes, cluster and topic lists, settings (KV); sends, single, batched, delayed by level or by time, and transactional
// with their check-backs, which count an outcome at once, while a real broker may ask within a few seconds more; recalls,
// as if recallMessageEnable were set; pulls with long polling, filters by tag, and the bounds and offset corrections of a
// real store;
// offsets, and resets handed out by the next pull; heartbeats, membership, its notices (40) and its expiry; retries and
// dead letters, queue locks and what they do to plain sends to a retry topic; administration of topics and groups, their
// statistics, replies pushed to who asked, messages by key and by id, running info and direct consumption relayed to members.
//
// # What it doesn't
//
//   - Disks: nothing survives Close; Stop and Restart are in order, so no commit of the last seconds is lost.
//   - Load: no thread pools, queues or page cache that could be busy. Inject the code (2) instead.
//   - Replicas, controllers and fail-over: every broker is a master and the only one of its name.
//   - Access control, signatures, TLS: every request is let in.
//   - POP consumption, static and lite topics, compaction, SQL filters (refused, as by a broker that hasn't enabled
//     them), request-reply, the proxy and gRPC. Such requests are answered with REQUEST_CODE_NOT_SUPPORTED.
//   - Batches that a broker keeps as one message (topics with a batch consume queue).
//   - Rates: statistics of messages a second are 0.
//   - Imprecision: what is due comes to the millisecond, not within the next scan, and a held pull ends on time.
//   - Versions before 5.5.0.
//
// Requests of one connection are handled in the order they came; a real broker's thread pools may overtake each other.
package mqtest
