package protocol

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
)

func TestRequestFields(t *testing.T) {
	t.Parallel()
	for want, f := range map[string]*frame.Frame{
		"310 a=g b=t c=TBW102 d=4 e=1 f=1 g=9 h=2 i=k\x01v\x02 j=0 k=false m=false n=br": SendMessage{ProducerGroup: "g", Topic: "t", QueueID: 1,
			SysFlag: SysCompressed, BornTime: 9, Flag: 2, Properties: AppendProperty(nil, "k", "v"), BrokerName: "br"}.Frame(),
		"320 a=g b=t c=x d=8 e=0 f=0 g=0 h=0 i= j=3 k=false l=16 m=true": SendMessage{ProducerGroup: "g", Topic: "t", DefaultTopic: "x", DefaultQueues: 8,
			ReconsumeTimes: 3, MaxReconsumeTimes: 16, Batch: true}.Frame(),
		"11 bname=br commitOffset=5 consumerGroup=g expressionType=TAG maxMsgBytes=7 maxMsgNums=32 queueId=1 queueOffset=6 subVersion=8 subscription=a suspendTimeoutMillis=15000 sysFlag=6 topic=t": PullMessage{Group: "g",
			Topic: "t", QueueID: 1, Offset: 6, MaxMessages: 32, MaxBytes: 7, SysFlag: PullSuspend | PullSubscription, CommitOffset: 5, SuspendMillis: 15000, Subscription: "a", SubVersion: 8, BrokerName: "br"}.Frame(),
		"14 consumerGroup=g queueId=1 setZeroIfNotFound=false topic=t": QueryOffset{Group: "g", Topic: "t", QueueID: 1}.Frame(),
		"15 commitOffset=9 consumerGroup=g queueId=1 topic=t":          UpdateOffset{Group: "g", Topic: "t", QueueID: 1, Offset: 9}.Frame(),
		"30 queueId=1 topic=t":             MaxOffset{Topic: "t", QueueID: 1}.Frame(),
		"31 bname=br queueId=1 topic=t":    MinOffset{Topic: "t", QueueID: 1, BrokerName: "br"}.Frame(),
		"29 queueId=1 timestamp=5 topic=t": SearchOffset{Topic: "t", QueueID: 1, Time: 5}.Frame(),
		"32 queueId=1 topic=t":             EarliestStoreTime{Topic: "t", QueueID: 1}.Frame(),
		"36 delayLevel=-1 group=g offset=5 originMsgId=id originTopic=t unitMode=false": SendBack{Group: "g", Offset: 5, DelayLevel: -1, OriginID: "id", OriginTopic: "t"}.Frame(),
		"36 delayLevel=0 group=g maxReconsumeTimes=16 offset=5 unitMode=false":          SendBack{Group: "g", Offset: 5, MaxReconsumeTimes: 16}.Frame(),
		"35 clientID=c consumerGroup=g":                                                 Unregister{ClientID: "c", ConsumerGroup: "g"}.Frame(),
		"38 consumerGroup=g":                                                            ConsumerList{Group: "g"}.Frame(),
		"100 key=k namespace=n value=":                                                  PutKV{Namespace: "n", Key: "k"}.Frame(),
		"101 key=k namespace=n":                                                         GetKV{Namespace: "n", Key: "k"}.Frame(),
		"102 key=k namespace=n":                                                         DeleteKV{Namespace: "n", Key: "k"}.Frame(),
		"219 namespace=n":                                                               ListKV{Namespace: "n"}.Frame(),
		"105 acceptStandardJsonOnly=true topic=t":                                       GetRoute{Topic: "t"}.Frame(),
		"106":                       GetCluster{}.Frame(),
		"28":                        BrokerRuntimeInfo{}.Frame(),
		"206":                       ListTopics{}.Frame(),
		"201":                       ListGroups{}.Frame(),
		"21":                        ListTopicConfigs{}.Frame(),
		"351 lo=true topic=t":       GetTopicConfig{Topic: "t"}.Frame(),
		"215 topic=t":               DeleteTopicBroker{Topic: "t"}.Frame(),
		"216 clusterName=c topic=t": DeleteTopicNameServer{Topic: "t", Cluster: "c"}.Frame(),
		"207 cleanOffset=true groupName=g removeOffset=true": DeleteGroup{Group: "g", RemoveOffsets: true}.Frame(),
		"300 topic=t":         GroupsOfTopic{Topic: "t"}.Frame(),
		"203 consumerGroup=g": GetConsumerConnection{Group: "g"}.Frame(),
		"208 consumerGroup=g": GetConsumeStats{Group: "g"}.Frame(),
		"202 topic=t":         GetTopicStats{Topic: "t"}.Frame(),
		"222 group=g isForce=true offset=-1 queueId=-1 timestamp=5 topic=t": ResetOffset{Group: "g", Topic: "t", Time: 5, Force: true}.Frame(),
		"222 group=g isForce=false offset=7 queueId=0 timestamp=0 topic=t":  ResetOffset{Group: "g", Topic: "t", OneQueue: true, Offset: 7}.Frame(),
		"307 clientId=c consumerGroup=g jstackEnable=true":                  GetRunningInfo{Group: "g", ClientID: "c", Stack: true}.Frame(),
		"309 brokerName=br clientId=c consumerGroup=g msgId=m topic=t":      ConsumeDirectly{Group: "g", ClientID: "c", MessageID: "m", BrokerName: "br", Topic: "t"}.Frame(),
		"33 offset=5 topic=t": ViewMessage{Topic: "t", Offset: 5}.Frame(),
		"12 _UNIQUE_KEY_QUERY=true beginTimestamp=1 endTimestamp=2 key=k maxNum=3 topic=t":                                 QueryMessages{Topic: "t", Key: "k", Unique: true, Max: 3, Begin: 1, End: 2}.Frame(),
		"37 commitLogOffset=2 commitOrRollback=8 fromTransactionCheck=true msgId=m producerGroup=g tranStateTableOffset=1": EndTransaction{ProducerGroup: "g", PreparedOffset: 1, CommitLogOffset: 2, Outcome: SysCommitted, FromCheck: true, MessageID: "m"}.Frame(),
		"17 attributes=+a=b,-c defaultTopic=TBW102 order=false perm=6 readQueueNums=8 topic=t topicFilterType=SINGLE_TAG topicSysFlag=0 writeQueueNums=8": func() *frame.Frame {
			c := NewTopicConfig("t", 8)
			c.Attributes = map[string]string{"a": "b", "c": ""}
			return CreateTopic{Config: c}.Frame()
		}(),
	} {
		fields := make([]string, len(f.Fields))
		for i, e := range f.Fields {
			fields[i] = e.Key + "=" + e.Value
		}
		sort.Strings(fields)
		if got := strings.Join(append([]string{fmt.Sprint(f.Code)}, fields...), " "); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func fieldsOf(pairs ...string) frame.Fields {
	var f frame.Fields
	for i := 0; i < len(pairs); i += 2 {
		f = append(f, frame.Field{Key: pairs[i], Value: pairs[i+1]})
	}
	return f
}

func TestParseSendResult(t *testing.T) {
	t.Parallel()
	fields := fieldsOf("msgId", "id", "queueId", "2", "queueOffset", "7", "transactionId", "tx", "MSG_REGION", "r")
	for _, status := range []SendStatus{SendOK, SendFlushDiskTimeout, SendSlaveNotAvailable, SendFlushSlaveTimeout} {
		got, err := ParseSendResult(&frame.Frame{Code: int32(status), Fields: fields})
		want := SendResult{Status: status, OffsetID: "id", QueueID: 2, QueueOffset: 7, TransactionID: "tx", Region: "r"}
		if err != nil || got != want || status.String() == "" {
			t.Errorf("%v: %+v, %v", status, got, err)
		}
	}
	_, err := ParseSendResult(&frame.Frame{Code: CodeFlowControl, Remark: "too fast"})
	if !HasCode(err, CodeSystemBusy, CodeFlowControl) {
		t.Errorf("error %v", err)
	}
	if _, err := ParseSendResult(&frame.Frame{Fields: fieldsOf("msgId", "id")}); !errors.Is(err, ErrMalformed) {
		t.Errorf("without offsets: %v", err)
	}
}

func TestParsePullResult(t *testing.T) {
	t.Parallel()
	fields := fieldsOf("nextBeginOffset", "5", "minOffset", "1", "maxOffset", "9", "suggestWhichBrokerId", "1")
	for _, status := range []PullStatus{PullFound, PullNotFound, PullRetryImmediately, PullOffsetMoved} {
		got, err := ParsePullResult(&frame.Frame{Code: int32(status), Fields: fields, Remark: "OFFSET_RESET", Body: []byte("b")})
		if err != nil || got.Status != status || got.NextOffset != 5 || got.MinOffset != 1 || got.MaxOffset != 9 || got.SuggestBrokerID != 1 {
			t.Errorf("%v: %+v, %v", status, got, err)
		}
		if (got.Body != nil) != (status == PullFound) || got.IsReset() != (status == PullOffsetMoved) {
			t.Errorf("%v: %+v", status, got)
		}
	}
	if _, err := ParsePullResult(&frame.Frame{Code: CodeSubscriptionNotExist}); !HasCode(err, CodeSubscriptionNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := ParsePullResult(&frame.Frame{Fields: fields[:2]}); !errors.Is(err, ErrMalformed) {
		t.Errorf("half a header: %v", err)
	}
}

func TestParseOffsets(t *testing.T) {
	t.Parallel()
	five := &frame.Frame{Fields: fieldsOf("offset", "5", "timestamp", "6")}
	if n, found, err := ParseQueryOffset(five); n != 5 || !found || err != nil {
		t.Errorf("query: %d, %v, %v", n, found, err)
	}
	if _, found, err := ParseQueryOffset(&frame.Frame{Code: CodeQueryNotFound}); found || err != nil {
		t.Errorf("query of nothing: %v, %v", found, err)
	}
	if _, found, err := ParseQueryOffset(&frame.Frame{Code: CodeGroupNotExist}); found || !HasCode(err, CodeGroupNotExist) {
		t.Errorf("query of no group: %v, %v", found, err)
	}
	for name, parse := range map[string]func(*frame.Frame) (int64, error){"max": ParseMaxOffset, "min": ParseMinOffset, "search": ParseSearchOffset} {
		if n, err := parse(five); n != 5 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		if _, err := parse(&frame.Frame{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s without an offset: %v", name, err)
		}
	}
	if n, err := ParseEarliestStoreTime(five); n != 6 || err != nil {
		t.Errorf("store time: %d, %v", n, err)
	}
	if reset, err := ParseUpdateOffset(&frame.Frame{Remark: "Offset has been previously reset"}); !reset || err != nil {
		t.Errorf("update after a reset: %v, %v", reset, err)
	}
	if reset, err := ParseUpdateOffset(&frame.Frame{}); reset || err != nil {
		t.Errorf("update: %v, %v", reset, err)
	}
}

func TestParseKV(t *testing.T) {
	t.Parallel()
	if v, found, err := ParseGetKV(&frame.Frame{Fields: fieldsOf("value", "x")}); v != "x" || !found || err != nil {
		t.Errorf("%q, %v, %v", v, found, err)
	}
	if _, found, err := ParseGetKV(&frame.Frame{Code: CodeQueryNotFound}); found || err != nil {
		t.Errorf("%v, %v", found, err)
	}
	if table, err := ParseListKV(&frame.Frame{Code: CodeQueryNotFound}); table != nil || err != nil {
		t.Errorf("%v, %v", table, err)
	}
	if _, err := ParseListKV(&frame.Frame{Code: CodeSystemError}); !HasCode(err, CodeSystemError) {
		t.Errorf("%v", err)
	}
}

func TestWhatBrokersAskMembers(t *testing.T) {
	t.Parallel()
	if q, err := ParseGetRunningInfo(GetRunningInfo{Group: "g", ClientID: "c", Stack: true}.Frame()); err != nil || q != (GetRunningInfo{"g", "c", true}) {
		t.Errorf("%+v, %v", q, err)
	}
	if q, err := ParseGetConsumerStatus(&frame.Frame{Fields: fieldsOf("group", "g", "topic", "t")}); err != nil || q != (GetConsumerStatus{"g", "t"}) {
		t.Errorf("%+v, %v", q, err)
	}

	f := ConsumeDirectly{Group: "g", Topic: "orders"}.Frame()
	m := goldenMessage()
	f.Body = EncodeMessage(nil, &m)
	if q, err := ParseConsumeDirectly(f); err != nil || !reflect.DeepEqual(q.Message, m) {
		t.Errorf("%+v, %v", q, err)
	}
	check := &frame.Frame{Fields: fieldsOf("tranStateTableOffset", "1", "commitLogOffset", "2", "transactionId", "tx"), Body: f.Body}
	if c, err := ParseCheckTransaction(check); err != nil || c.PreparedOffset != 1 || c.CommitLogOffset != 2 || c.TransactionID != "tx" || c.Message.Topic != "orders" {
		t.Errorf("%+v, %v", c, err)
	}
	notice := &frame.Frame{Fields: fieldsOf("group", "g", "topic", "t", "timestamp", "5"), Body: golden(t, "reset_49.json")}
	if n, err := ParseResetNotice(notice); err != nil || len(n.Offsets) != 2 || n.Time != 5 {
		t.Errorf("%+v, %v", n, err)
	}

	empty := &frame.Frame{}
	for name, err := range map[string]error{
		"307": second(ParseGetRunningInfo(empty)),
		"221": second(ParseGetConsumerStatus(empty)),
		"309": second(ParseConsumeDirectly(empty)),
		"39":  second(ParseCheckTransaction(empty)),
		"220": second(ParseResetNotice(empty)),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("empty request %s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnswersOfMembers(t *testing.T) {
	t.Parallel()
	q := Queue{Topic: "orders", Broker: `a"b`, ID: 1}
	f := AnswerConsumerStatus(map[Queue]int64{q: 5})
	if want := `{"consumerTable":{},"messageQueueTable":{{"topic":"orders","brokerName":"a\"b","queueId":1}:5}}`; string(f.Body) != want {
		t.Errorf("%s", f.Body)
	}
	info := ConsumerRunningInfo{Statuses: map[string]ConsumeStatus{"t": {PullRT: math.NaN(), OKTPS: math.Inf(1)}}, Queues: map[Queue]QueueInfo{q: {CommitOffset: 3}}}
	f = info.Answer()
	got, err := ParseRunningInfo(f)
	if err != nil || got.Queues[q].CommitOffset != 3 || got.Statuses["t"] != (ConsumeStatus{}) {
		t.Errorf("%s: %+v, %v", f.Body, got, err)
	}
	if f := Refuse(CodeSystemError, "no such group"); f.Code != 1 || f.Remark != "no such group" {
		t.Errorf("%+v", f)
	}
}

func TestErrorsNameEverything(t *testing.T) {
	t.Parallel()
	err := Check(ReqPullMessage, &frame.Frame{Code: CodeSubscriptionNotExist, Remark: " the consumer's group info not exist\n"})
	if s := err.Error(); s != "PULL_MESSAGE (11) answered with SUBSCRIPTION_NOT_EXIST (24): the consumer's group info not exist" {
		t.Error(s)
	}
	var refusal *Error
	if !errors.As(err, &refusal) {
		t.Fatal("no *Error")
	}
	refusal.Address = "10.0.0.1:10911"
	refusal.Remark, refusal.Code, refusal.Request = "", 999, 998
	if s := err.Error(); s != "request 998 answered by 10.0.0.1:10911 with code 999" {
		t.Error(s)
	}
	if Check(ReqPullMessage, &frame.Frame{Remark: "not set any response code"}) != nil {
		t.Error("a success with a remark is an error")
	}
	if HasCode(nil, CodeSuccess) || HasCode(errors.New("x"), CodeSystemError) || !HasCode(fmt.Errorf("wrapped: %w", err), 999) {
		t.Error("HasCode is wrong")
	}
	if RequestName(ReqSendMessageV2) != "SEND_MESSAGE_V2 (310)" || CodeName(CodeFlowControl) != "FLOW_CONTROL (215)" {
		t.Error("names are wrong")
	}
}

func TestQueueOrderIsJavas(t *testing.T) {
	t.Parallel()
	a, b, c, d := Queue{"a", "z", 9}, Queue{"b", "a", 9}, Queue{"b", "b", 2}, Queue{"b", "b", 10}
	for _, pair := range [][2]Queue{{a, b}, {b, c}, {c, d}} {
		if pair[0].Compare(pair[1]) >= 0 || pair[1].Compare(pair[0]) <= 0 {
			t.Errorf("%v isn't before %v", pair[0], pair[1])
		}
	}
	if a.String() != "a z/9" {
		t.Error(a.String())
	}
}
