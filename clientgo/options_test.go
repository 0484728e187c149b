package clientgo_test

import (
	"context"
	"errors"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/hooks"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
)

// Each option that can't be carried over is refused by its name, and so are values that make no sense.
func TestConsumerOptionsRefused(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	for says, option := range map[string]consumer.Option{
		"consumer.WithNameServer,":                  consumer.WithNameServer(primitive.NamesrvAddr{"127.0.0.1:9876"}),
		"WithNsResolver: is the rocketkit.Client's": consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{"127.0.0.1:9876"})),
		"WithNameServerDomain":                      consumer.WithNameServerDomain("http://127.0.0.1/"),
		"consumer.WithInstance:":                    consumer.WithInstance("one"),
		"consumer.WithUnitName:":                    consumer.WithUnitName("u"),
		"consumer.WithVIPChannel:":                  consumer.WithVIPChannel(true),
		"consumer.WithCredentials:":                 consumer.WithCredentials(primitive.Credentials{AccessKey: "a", SecretKey: "b"}),
		"consumer.WithTls or":                       consumer.WithTls(true),
		"or WithRemotingTimeout:":                   consumer.WithRemotingTimeout(time.Second, time.Second, time.Second),
		"consumer.WithRetry:":                       consumer.WithRetry(7),
		"consumer.WithConsumerPullTimeout:":         consumer.WithConsumerPullTimeout(time.Second),
		"consumer.WithConsumeConcurrentlyMaxSpan:":  consumer.WithConsumeConcurrentlyMaxSpan(10),
		"consumer.WithPullThresholdForQueue:":       consumer.WithPullThresholdForQueue(10),
		"consumer.WithPullThresholdSizeForQueue:":   consumer.WithPullThresholdSizeForQueue(10),
		"consumer.WithPullThresholdForTopic:":       consumer.WithPullThresholdForTopic(10),
		"consumer.WithPullThresholdSizeForTopic:":   consumer.WithPullThresholdSizeForTopic(10),
		"consumer.WithPullInterval:":                consumer.WithPullInterval(time.Second),
		"consumer.WithConsumeTPS:":                  consumer.WithConsumeTPS(10),
		"consumer.WithPullBatchSize:":               consumer.WithPullBatchSize(10),
		"consumer.WithAutoCommit:":                  consumer.WithAutoCommit(false),
		"consumer.WithRebalanceLockInterval:":       consumer.WithRebalanceLockInterval(time.Second),
		"consumer.WithFilterMessageHook:":           consumer.WithFilterMessageHook([]hooks.FilterMessageHook{nil}),
		"consumer.WithStrategy:":                    consumer.WithStrategy(consumer.AllocateByAveragelyCircle),
		"consumer.WithConsumerModel: 7":             consumer.WithConsumerModel(7),
		"consumer.WithConsumeFromWhere: 7":          consumer.WithConsumeFromWhere(7),
		"consumer.WithConsumeTimestamp: goes with":  consumer.WithConsumeTimestamp("20250101000000"),
		"consumer.WithConsumeMessageBatchMaxSize:":  consumer.WithConsumeMessageBatchMaxSize(1025),
		"consumer.WithConsumeGoroutineNums:":        consumer.WithConsumeGoroutineNums(-1),
		"consumer.WithConsumeTimeout:":              consumer.WithConsumeTimeout(-1),
		"consumer.WithMaxReconsumeTimes:":           consumer.WithMaxReconsumeTimes(-2),
		"consumer.WithNamespace: \"blue\"":          consumer.WithNamespace("blue"),
		"consumer.WithGroupName: tenant":            consumer.WithGroupName("a b"),
		"option 1 is nil":                           nil,
	} {
		_, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"), option)
		refused(t, err, says)
	}
	_, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"), consumer.WithTrace(&primitive.TraceConfig{
		NamesrvAddrs: []string{"127.0.0.1:1"},
	}))
	refused(t, err, "consumer.WithTrace: is the rocketkit.Client's")
	_, err = clientgo.NewPushConsumer(client)
	refused(t, err, "consumer.WithGroupName: is missing")
	_, err = clientgo.NewPushConsumer(nil, consumer.WithGroupName("billing"))
	refused(t, err, "client is nil")
	_, err = clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"), consumer.WithConsumerOrder(true), consumer.WithConsumeMessageBatchMaxSize(2))
	refused(t, err, "consumer.WithConsumeMessageBatchMaxSize: with WithConsumerOrder")
}

func TestProducerOptionsRefused(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	for says, option := range map[string]producer.Option{
		"producer.WithNameServer,":            producer.WithNameServer(primitive.NamesrvAddr{"127.0.0.1:9876"}),
		"producer.WithInstanceName:":          producer.WithInstanceName("one"),
		"producer.WithUnitName:":              producer.WithUnitName("u"),
		"producer.WithVIPChannel:":            producer.WithVIPChannel(true),
		"producer.WithCredentials:":           producer.WithCredentials(primitive.Credentials{AccessKey: "a", SecretKey: "b"}),
		"producer.WithTrace:":                 producer.WithTrace(&primitive.TraceConfig{NamesrvAddrs: []string{"127.0.0.1:1"}}),
		"producer.WithTls or":                 producer.WithTls(true),
		"producer.WithDefaultTopicQueueNums:": producer.WithDefaultTopicQueueNums(3),
		"producer.WithCreateTopicKey:":        producer.WithCreateTopicKey("TBW103"),
		"producer.WithCompressLevel:":         producer.WithCompressLevel(9),
		"producer.WithSendMsgTimeout:":        producer.WithSendMsgTimeout(-1),
		"producer.WithRetry:":                 producer.WithRetry(-2),
		"producer.WithNamespace: \"blue\"":    producer.WithNamespace("blue"),
		"producer.WithGroupName: tenant":      producer.WithGroupName("a b"),
	} {
		_, err := clientgo.NewProducer(client, option)
		refused(t, err, says)
		_, err = clientgo.NewTransactionProducer(client, listener{}, option)
		refused(t, err, says)
	}
	_, err := clientgo.NewTransactionProducer(client, nil)
	refused(t, err, "listener is nil")
	_, err = clientgo.NewTransactionProducer(client, listener{}, producer.WithQueueSelector(producer.NewHashQueueSelector()))
	refused(t, err, "producer.WithQueueSelector:")
}

type listener struct{}

func (listener) ExecuteLocalTransaction(*primitive.Message) primitive.LocalTransactionState {
	return primitive.CommitMessageState
}

func (listener) CheckLocalTransaction(*primitive.MessageExt) primitive.LocalTransactionState {
	return primitive.UnkonwnState
}

func refused(t *testing.T, err error, says string) {
	t.Helper()
	if !errors.Is(err, rocketkit.ErrConfig) || !strings.HasPrefix(err.Error(), "clientgo: ") || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want it to say %q", err, says)
	}
}

// What says what is so anyway is taken.
func TestOptionsTaken(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	if _, err := clientgo.NewPushConsumer(client,
		consumer.WithGroupName("billing"), consumer.WithNamespace("red"), consumer.WithConsumerModel(consumer.Clustering),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromTimestamp), consumer.WithConsumeTimestamp("20250101000000"),
		consumer.WithStrategy(consumer.AllocateByAveragely), consumer.WithAutoCommit(true), consumer.WithMaxReconsumeTimes(5),
		consumer.WithConsumeMessageBatchMaxSize(32), consumer.WithConsumeGoroutineNums(50), consumer.WithConsumeTimeout(time.Minute),
		consumer.WithSuspendCurrentQueueTimeMillis(time.Second), consumer.WithLimiter(func(string) {}),
		consumer.WithInterceptor(func(ctx context.Context, req, reply any, next primitive.Invoker) error { return next(ctx, req, reply) }),
		consumer.WithVIPChannel(false), consumer.WithTls(false), consumer.WithRetry(3), consumer.WithInstance("DEFAULT"),
		consumer.WithRebalanceLockInterval(20*time.Second),
	); err != nil {
		t.Error(err)
	}
	for _, selector := range []producer.QueueSelector{
		producer.NewHashQueueSelector(), producer.NewManualQueueSelector(), producer.NewRandomQueueSelector(), producer.NewRoundRobinQueueSelector(),
	} {
		p, err := clientgo.NewProducer(client, producer.WithGroupName("checkout"), producer.WithNamespace("red"),
			producer.WithSendMsgTimeout(time.Second), producer.WithCompressMsgBodyOverHowmuch(100), producer.WithCompressLevel(5), producer.WithRetry(1), producer.WithQueueSelector(selector),
			producer.WithDefaultTopicQueueNums(4), producer.WithCreateTopicKey("TBW102"), producer.WithInstanceName("DEFAULT"))
		if err != nil {
			t.Error(err)
			continue
		}
		shutdown(t, p)
	}
}

// Settings that a refusal, or docs/migrating.md, sends one to are there.
func TestSettingsNamedExist(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	page, err := os.ReadFile("../docs/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(page)}
	for _, option := range []consumer.Option{
		consumer.WithNsResolver(primitive.NewPassthroughResolver([]string{"127.0.0.1:9876"})), consumer.WithInstance("one"),
		consumer.WithCredentials(primitive.Credentials{AccessKey: "a", SecretKey: "b"}), consumer.WithTls(true),
		consumer.WithTrace(&primitive.TraceConfig{NamesrvAddrs: []string{"127.0.0.1:1"}}),
	} {
		_, err := clientgo.NewPushConsumer(client, consumer.WithGroupName("billing"), option)
		if err == nil || !strings.Contains(err.Error(), "set rocketkit.Config.") {
			t.Errorf("%v names no setting", err)
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		for _, found := range regexp.MustCompile(`rocketkit\.Config\.(\w+)`).FindAllStringSubmatch(text, -1) {
			if _, ok := reflect.TypeFor[rocketkit.Config]().FieldByName(found[1]); !ok {
				t.Errorf("there is no %s: %.200s", found[0], text)
			}
		}
	}
}
