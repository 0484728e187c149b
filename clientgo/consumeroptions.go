package clientgo

import (
	"math"
	"reflect"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/rocketkit/rocketkit"
	rocketkitconsumer "github.com/rocketkit/rocketkit/consumer"
)

// What client-go's push consumer takes for an option that isn't given.
const (
	defaultGoroutines     = 20
	defaultConsumeTimeout = 15 * time.Minute
	defaultReconsumeTimes = 16
	defaultSuspend        = time.Second // of the Java client; client-go goes on at once, in a loop
	maxBatch              = 1024
	timestampLayout       = "20060102150405"
)

// consumerRules are the fields of client-go's consumerOptions.
func consumerRules() rules {
	const tuning = "has no counterpart: what a topic may hold in memory follows its workers; leave it out"
	r := rules{
		"ConsumeTimestamp":              {"consumer.WithConsumeTimestamp", ""},
		"ConsumeMessageBatchMaxSize":    {"consumer.WithConsumeMessageBatchMaxSize", ""},
		"MaxReconsumeTimes":             {"consumer.WithMaxReconsumeTimes", ""},
		"SuspendCurrentQueueTimeMillis": {"consumer.WithSuspendCurrentQueueTimeMillis", ""},
		"ConsumeTimeout":                {"consumer.WithConsumeTimeout", ""},
		"ConsumerModel":                 {"consumer.WithConsumerModel", ""},
		"Strategy":                      {"consumer.WithStrategy", ""},
		"ConsumeOrderly":                {"consumer.WithConsumerOrder", ""},
		"FromWhere":                     {"consumer.WithConsumeFromWhere", ""},
		"Interceptors":                  {"consumer.WithInterceptor", ""},
		"ConsumeGoroutineNums":          {"consumer.WithConsumeGoroutineNums", ""},
		"Limiter":                       {"consumer.WithLimiter", ""},

		"ConsumerPullTimeout":        {"consumer.WithConsumerPullTimeout", "has no counterpart: brokers hold a pull for 15 s, as Java's do; leave it out"},
		"ConsumeConcurrentlyMaxSpan": {"consumer.WithConsumeConcurrentlyMaxSpan", "has no counterpart: a queue's span is 65,536; leave it out"},
		"PullThresholdForQueue":      {"consumer.WithPullThresholdForQueue", tuning},
		"PullThresholdSizeForQueue":  {"consumer.WithPullThresholdSizeForQueue", tuning},
		"PullThresholdForTopic":      {"consumer.WithPullThresholdForTopic", tuning},
		"PullThresholdSizeForTopic":  {"consumer.WithPullThresholdSizeForTopic", tuning},
		"PullInterval":               {"consumer.WithPullInterval", "has no counterpart: a queue is pulled while its topic has room; leave it out"},
		"ConsumeTPS":                 {"consumer.WithConsumeTPS", "has no counterpart: limit in the handler, or with consumer.WithLimiter"},
		"PullBatchSize":              {"consumer.WithPullBatchSize", "has no counterpart: a pull takes 32 messages, the most that a broker gives from memory; leave it out"},
		"AutoCommit":                 {"consumer.WithAutoCommit", "false can't be carried over: what a handler returns is committed"},
		"RebalanceLockInterval":      {"consumer.WithRebalanceLockInterval", "has no counterpart: locks are renewed each 20 s; leave it out"},
		"filterMessageHooks":         {"consumer.WithFilterMessageHook", "can't be carried over: filter in the handler, or in an interceptor"},
		"PostSubscriptionWhenPull":   {"PostSubscriptionWhenPull", "has no counterpart"},
		"MaxTimeConsumeContinuously": {"MaxTimeConsumeContinuously", "has no counterpart"},
		"TraceDispatcher":            {"consumer.WithTrace", clientSetting("Trace")},
		"RetryTimes":                 {"consumer.WithRetry", "has no counterpart: a failed message is sent back until its broker has it; leave it out"},
	}
	return r.withClientOptions("consumer", "WithInstance")
}

func clientSetting(field string) string {
	return "is the rocketkit.Client's: leave it out, and set rocketkit.Config." + field
}

// withClientOptions adds the fields of the struct that consumers' and producers' options share.
func (r rules) withClientOptions(pkg, instance string) rules {
	r["GroupName"] = rule{pkg + ".WithGroupName", ""}
	r["Namespace"] = rule{pkg + ".WithNamespace", ""}
	shared := rules{
		"NameServerAddrs":      {"WithNameServer", clientSetting("NameServers")},
		"Namesrv":              {"WithNameServer", clientSetting("NameServers")},
		"Resolver":             {"WithNameServer, WithNameServerDomain or WithNsResolver", clientSetting("NameServers, or NameServerURL for an address server")},
		"ClientIP":             {"ClientIP", "has no counterpart"},
		"InstanceName":         {instance, clientSetting("Instance")},
		"UnitMode":             {"UnitMode", "has no counterpart"},
		"UnitName":             {"WithUnitName", "has no counterpart"},
		"VIPChannelEnabled":    {"WithVIPChannel", "has no counterpart: brokers' fast port isn't used; leave it out"},
		"Credentials":          {"WithCredentials", clientSetting("Credentials")},
		"RemotingClientConfig": {"WithTls or WithRemotingTimeout", clientSetting("TLS, RequestTimeout or Dial")},
	}
	for name, refused := range shared {
		if _, own := r[name]; !own {
			refused.option = pkg + "." + refused.option
			r[name] = refused
		}
	}
	return r
}

// consumerSettings is what a push consumer's options come to.
type consumerSettings struct {
	group, namespace string
	broadcast        bool
	orderly          bool
	start            rocketkitconsumer.Start
	batch            int
	workers          int
	timeout          time.Duration
	retries          int // as rocketkit's consumer.Config has it
	suspend          time.Duration
	limiter          consumer.Limiter
	interceptor      primitive.Interceptor
}

func readConsumer(options []consumer.Option) (c consumerSettings, err error) {
	s, err := read(options, map[string]any{
		"ConsumerModel": consumer.Clustering, "MaxReconsumeTimes": int32(-1), "AutoCommit": true, "RetryTimes": 3,
		"InstanceName": "DEFAULT", "RebalanceLockInterval": 20 * time.Second,
	}, consumerRules())
	if err != nil {
		return c, err
	}
	c = consumerSettings{
		group: get[string](s, "GroupName"), namespace: get[string](s, "Namespace"),
		orderly: get[bool](s, "ConsumeOrderly"), limiter: get[consumer.Limiter](s, "Limiter"),
		interceptor: primitive.ChainInterceptors(get[[]primitive.Interceptor](s, "Interceptors")...),
		suspend:     get[time.Duration](s, "SuspendCurrentQueueTimeMillis"),
		timeout:     orDefault(get[time.Duration](s, "ConsumeTimeout"), defaultConsumeTimeout),
		batch:       orDefault(get[int](s, "ConsumeMessageBatchMaxSize"), 1),
		workers:     orDefault(get[int](s, "ConsumeGoroutineNums"), defaultGoroutines),
	}
	if c.group == "" {
		return c, configError("consumer.WithGroupName: is missing")
	}
	if err := c.setModel(s); err != nil {
		return c, err
	}
	if err := c.setRetries(get[int32](s, "MaxReconsumeTimes")); err != nil {
		return c, err
	}
	c.start, err = startOf(get[consumer.ConsumeFromWhere](s, "FromWhere"), get[string](s, "ConsumeTimestamp"))
	return c, err
}

// setModel checks what says who gets which messages, and in which order.
func (c *consumerSettings) setModel(s settings) error {
	switch model := get[consumer.MessageModel](s, "ConsumerModel"); model {
	case consumer.BroadCasting:
		c.broadcast = true
	case consumer.Clustering:
	default:
		return configError("consumer.WithConsumerModel: %d is neither Clustering nor BroadCasting", model)
	}
	strategy := s.fields.FieldByName("Strategy")
	if !strategy.IsNil() && strategy.Pointer() != reflect.ValueOf(consumer.AllocateByAveragely).Pointer() {
		return configError("consumer.WithStrategy: only AllocateByAveragely can be carried over: all members of a group must share its queues by one rule")
	}
	switch {
	case c.batch < 1 || c.batch > maxBatch:
		return configError("consumer.WithConsumeMessageBatchMaxSize: %d is not between 1 and %d", c.batch, maxBatch)
	case c.batch > 1 && c.orderly:
		return configError("consumer.WithConsumeMessageBatchMaxSize: with WithConsumerOrder(true) messages are handled one by one; leave it out")
	case c.workers < 1 || c.workers > 1<<16:
		return configError("consumer.WithConsumeGoroutineNums: %d is not between 1 and 65,536", c.workers)
	case c.timeout < 0:
		return configError("consumer.WithConsumeTimeout: %v is negative", c.timeout)
	}
	return nil
}

// setRetries translates WithMaxReconsumeTimes, whose default is 16 times, and without end where order is kept.
func (c *consumerSettings) setRetries(times int32) error {
	switch {
	case times < -1:
		return configError("consumer.WithMaxReconsumeTimes: %d is neither -1 nor a number of times", times)
	case times == -1 && c.orderly:
		c.retries = math.MaxInt32
	case times == -1:
		c.retries = defaultReconsumeTimes
	case times == 0:
		c.retries = -1
	default:
		c.retries = int(times)
	}
	return nil
}

func startOf(where consumer.ConsumeFromWhere, timestamp string) (start rocketkitconsumer.Start, err error) {
	switch where {
	case consumer.ConsumeFromLastOffset:
	case consumer.ConsumeFromFirstOffset:
		start = rocketkitconsumer.Earliest()
	case consumer.ConsumeFromTimestamp:
		at := time.Now().Add(-30 * time.Minute)
		if timestamp != "" {
			if at, err = time.ParseInLocation(timestampLayout, timestamp, time.Local); err != nil {
				return start, configError("consumer.WithConsumeTimestamp: %q is not of the form %s", timestamp, timestampLayout)
			}
		}
		return rocketkitconsumer.At(at), nil
	default:
		return start, configError("consumer.WithConsumeFromWhere: %d is none of ConsumeFromLastOffset, ConsumeFromFirstOffset and ConsumeFromTimestamp", where)
	}
	if timestamp != "" {
		return start, configError("consumer.WithConsumeTimestamp: goes with WithConsumeFromWhere(ConsumeFromTimestamp) only")
	}
	return start, nil
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// tenantOf is the Client for a namespace, which is a tenant here.
func tenantOf(client *rocketkit.Client, namespace, option string) (*rocketkit.Client, error) {
	switch {
	case client == nil:
		return nil, configError("client is nil; make one with rocketkit.Open")
	case namespace == "" || namespace == client.Tenant():
		return client, nil
	case client.Tenant() != "":
		return nil, configError("%s: %q, but the Client is of tenant %q: leave one of them out", option, namespace, client.Tenant())
	}
	other, err := client.For(namespace, nil)
	if err != nil {
		return nil, configError("%s: a namespace is a tenant: %v", option, err)
	}
	return other, nil
}
