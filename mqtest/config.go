package mqtest

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Config says what cluster Start makes. The zero value is one name server and one broker, connected in memory, without
// topics.
type Config struct {
	// NameServers is how many there are, called namesrv-a, namesrv-b and so on. 0 means 1; at most 26.
	NameServers int

	// Brokers is how many masters there are, called broker-a, broker-b and so on. 0 means 1; at most 26.
	Brokers int

	// Topics are created on every broker: by physical name ("red%orders" for tenant red), the number of queues on each
	// broker. 0 queues means 4.
	Topics map[string]int

	// AutoCreateTopics lets the first send to a missing topic create it, as RocketMQ's autoCreateTopicEnable does.
	// A typo in a topic's name is then no error any more.
	AutoCreateTopics bool

	// RequireGroups refuses consumer groups that weren't created, as RocketMQ does with autoCreateSubscriptionGroup
	// switched off. By default the first heartbeat or pull creates a group.
	RequireGroups bool

	// MaxMessageBytes bounds a body, and a batch (maxMessageSize). 0 means 4 MiB.
	MaxMessageBytes int

	// DelayLevels are the delays that levels 1, 2, ... stand for (messageDelayLevel), which retries follow from level 3
	// on. Nil means RocketMQ's own: 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h.
	DelayLevels []time.Duration

	// TransactionTimeout is how old a prepared message must be before its producer is asked for the outcome
	// (transactionTimeOut); 0 means 6 s. TransactionCheckInterval is how often the broker looks for such
	// (transactionCheckInterval); 0 means 30 s.
	TransactionTimeout, TransactionCheckInterval time.Duration

	// TransactionCheckMax is how often producers are asked for an outcome before the broker gives up and moves the message
	// to the topic TRANS_CHECK_MAX_TIME_TOPIC (transactionCheckMax). 0 means 15; at most 1,000.
	TransactionCheckMax int

	// TCP serves on the loopback interface rather than in memory, so that other programs and other languages' clients
	// can connect; it doesn't work in a testing/synctest bubble.
	TCP bool

	// Logger is handed on to clients by Cluster.Config. Nil leaves them slog.Default.
	Logger *slog.Logger
}

const (
	clusterName   = "DefaultCluster"
	defaultRegion = "DefaultRegion"
	maxServers    = 26
)

var rocketMQLevels = []time.Duration{
	time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 3 * time.Minute,
	4 * time.Minute, 5 * time.Minute, 6 * time.Minute, 7 * time.Minute, 8 * time.Minute, 9 * time.Minute,
	10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
}

// complete checks the Config and fills in its defaults.
func (c Config) complete() (Config, error) {
	for _, n := range []struct {
		field string
		value *int
		most  int
		zero  int
	}{
		{"NameServers", &c.NameServers, maxServers, 1},
		{"Brokers", &c.Brokers, maxServers, 1},
		{"TransactionCheckMax", &c.TransactionCheckMax, 1000, 15},
		{"MaxMessageBytes", &c.MaxMessageBytes, 15 << 20, 4 << 20},
	} {
		if *n.value < 0 || *n.value > n.most {
			return c, fmt.Errorf("mqtest: %s: %d is not from 0 to %d", n.field, *n.value, n.most)
		}
		if *n.value == 0 {
			*n.value = n.zero
		}
	}
	for topic, queues := range c.Topics {
		if why := badTopic(topic); why != "" {
			return c, fmt.Errorf("mqtest: Topics: %s", why)
		}
		if queues < 0 || queues > 1024 {
			return c, fmt.Errorf("mqtest: Topics: %s: %d queues are not from 0 to 1024", topic, queues)
		}
	}
	for i, d := range c.DelayLevels {
		if d < 0 {
			return c, fmt.Errorf("mqtest: DelayLevels: level %d: %v is negative", i+1, d)
		}
	}
	if c.TransactionTimeout < 0 || c.TransactionCheckInterval < 0 {
		return c, fmt.Errorf("mqtest: TransactionTimeout, TransactionCheckInterval: %v, %v: neither may be negative",
			c.TransactionTimeout, c.TransactionCheckInterval)
	}
	if c.DelayLevels == nil {
		c.DelayLevels = rocketMQLevels
	}
	if c.TransactionTimeout == 0 {
		c.TransactionTimeout = 6 * time.Second
	}
	if c.TransactionCheckInterval == 0 {
		c.TransactionCheckInterval = 30 * time.Second
	}
	return c, nil
}

// serverName gives namesrv-a, broker-b.
func serverName(kind string, i int) string { return kind + "-" + string(rune('a'+i)) }

// In memory, servers have addresses that RFC 5737 sets aside for documentation: nothing real answers there.
func nameServerAddress(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), 9876)
}

func brokerAddress(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(101 + i)}), 10911)
}
