package clientgo

import (
	"reflect"
	"time"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

// What client-go's producer takes for an option that isn't given.
const (
	defaultProducerGroup = "DEFAULT_PRODUCER"
	defaultSendTimeout   = 3 * time.Second
	defaultRetries       = 3
	defaultCompressFrom  = 4096
)

// producerRules are the fields of client-go's producerOptions.
func producerRules() rules {
	const noAutoCreate = "has no counterpart: topics aren't created by sending; create them, and leave it out"
	r := rules{
		"Selector":       {"producer.WithQueueSelector", ""},
		"SendMsgTimeout": {"producer.WithSendMsgTimeout", ""},
		"RetryTimes":     {"producer.WithRetry", ""},
		"Interceptors":   {"producer.WithInterceptor", ""},

		"CompressMsgBodyOverHowmuch": {"producer.WithCompressMsgBodyOverHowmuch", ""},
		"CompressLevel":              {"producer.WithCompressLevel", "can't be carried over: bodies are compressed by zlib at its usual level; leave it out"},
		"DefaultTopicQueueNums":      {"producer.WithDefaultTopicQueueNums", noAutoCreate},
		"CreateTopicKey":             {"producer.WithCreateTopicKey", noAutoCreate},
		"TraceDispatcher":            {"producer.WithTrace", clientSetting("Trace")},
	}
	return r.withClientOptions("producer", "WithInstanceName")
}

// producerSettings is what a producer's options come to.
type producerSettings struct {
	group, namespace string
	timeout          time.Duration // of one attempt
	attempts         int
	compressFrom     int                    // bytes
	selector         producer.QueueSelector // nil: the producer chooses
	interceptor      primitive.Interceptor
}

func readProducer(options []producer.Option) (p producerSettings, err error) {
	s, err := read(options, map[string]any{
		"RetryTimes": defaultRetries, "CompressMsgBodyOverHowmuch": defaultCompressFrom, "CompressLevel": 5,
		"InstanceName": "DEFAULT", "DefaultTopicQueueNums": 4, "CreateTopicKey": "TBW102",
	}, producerRules())
	if err != nil {
		return p, err
	}
	p = producerSettings{
		group:        orDefault(get[string](s, "GroupName"), defaultProducerGroup),
		namespace:    get[string](s, "Namespace"),
		timeout:      orDefault(get[time.Duration](s, "SendMsgTimeout"), defaultSendTimeout),
		attempts:     1 + get[int](s, "RetryTimes"),
		compressFrom: max(get[int](s, "CompressMsgBodyOverHowmuch"), 1), // below, all
		selector:     get[producer.QueueSelector](s, "Selector"),
		interceptor:  primitive.ChainInterceptors(get[[]primitive.Interceptor](s, "Interceptors")...),
	}
	switch {
	case p.timeout < 0:
		return p, configError("producer.WithSendMsgTimeout: %v is negative", p.timeout)
	case p.attempts < 1:
		return p, configError("producer.WithRetry: %d is negative", p.attempts-1)
	}
	if spreads(p.selector) {
		p.selector = nil // the producer spreads messages too, and avoids brokers in trouble
	}
	return p, nil
}

// spreads tells whether a selector is one of client-go's that choose any queue.
func spreads(s producer.QueueSelector) bool {
	t := reflect.TypeOf(s)
	return t == reflect.TypeOf(producer.NewRoundRobinQueueSelector()) || t == reflect.TypeOf(producer.NewRandomQueueSelector())
}
