package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// Bits of PullMessage.SysFlag, RocketMQ's class PullSysFlag.
const (
	PullCommitOffset int32 = 1  // CommitOffset counts
	PullSuspend      int32 = 2  // hold the request when there is nothing new
	PullSubscription int32 = 4  // Subscription counts; else that of the group's heartbeat does
	PullClassFilter  int32 = 8  // filter by uploaded class (4.x only)
	PullLite         int32 = 16 // marks Java's lite consumer
)

// Expression types of a subscription, RocketMQ's class ExpressionType.
const (
	ExpressionTag = "TAG"
	ExpressionSQL = "SQL92"
)

// PullMessage is request 11. Answered by [ParsePullResult].
type PullMessage struct {
	Group          string
	Topic          string
	QueueID        int32
	Offset         int64 // first offset wanted
	MaxMessages    int32
	MaxBytes       int32  // 0 leaves it to the broker (256 KiB), as 4.9 always does
	SysFlag        int32  // Pull bits
	CommitOffset   int64  // stored for the group when PullCommitOffset is set
	SuspendMillis  int64  // how long the broker may hold the request with PullSuspend
	Subscription   string // tags or SQL, with PullSubscription
	SubVersion     int64  // SubscriptionData.SubVersion
	ExpressionType string // empty means TAG
	BrokerName     string
}

// Frame gives the request in the fields of PullMessageRequestHeader.
func (r PullMessage) Frame() *frame.Frame {
	if r.ExpressionType == "" {
		r.ExpressionType = ExpressionTag
	}
	h := newHeader(13)
	h.text("consumerGroup", r.Group)
	h.text("topic", r.Topic)
	h.number("queueId", int64(r.QueueID))
	h.number("queueOffset", r.Offset)
	h.number("maxMsgNums", int64(r.MaxMessages))
	h.number("sysFlag", int64(r.SysFlag))
	h.number("commitOffset", r.CommitOffset)
	h.number("suspendTimeoutMillis", r.SuspendMillis)
	h.textIfSet("subscription", r.Subscription)
	h.number("subVersion", r.SubVersion)
	h.text("expressionType", r.ExpressionType)
	if r.MaxBytes > 0 {
		h.number("maxMsgBytes", int64(r.MaxBytes))
	}
	h.textIfSet("bname", r.BrokerName)
	return h.frame(ReqPullMessage, nil)
}

// PullStatus is the outcome of a pull.
type PullStatus int32

// Outcomes of a pull; the numbers are the answer's codes.
const (
	PullFound            PullStatus = 0
	PullNotFound         PullStatus = 19 // nothing new at Offset
	PullRetryImmediately PullStatus = 20 // there were messages, none of them wanted: go on at NextOffset
	PullOffsetMoved      PullStatus = 21 // Offset is outside of the queue, or was reset: go on at NextOffset
)

// String gives the name of the code that stands for the status.
func (s PullStatus) String() string {
	if s == PullFound {
		return "PULL_FOUND"
	}
	return codeNames[int32(s)]
}

// PullResult is the answer to a pull.
type PullResult struct {
	Status          PullStatus
	NextOffset      int64 // where the next pull begins
	MinOffset       int64
	MaxOffset       int64 // one past the queue's newest message
	SuggestBrokerID int64 // which replica to pull from next; 0 is the master
	OffsetDelta     int64 // add to every queue offset in Body: above 0 on static topics only (5.x)
	Remark          string
	Body            []byte // for DecodeMessages; nil unless PullFound
}

// IsReset tells whether the offset moved because someone reset the group's offset on the server (5.x), and not because
// the wanted offset had left the queue.
func (r *PullResult) IsReset() bool { return r.Status == PullOffsetMoved && r.Remark == "OFFSET_RESET" }

// ParsePullResult reads the answer to a [PullMessage]. The four codes of PullStatus are no errors.
func ParsePullResult(f *frame.Frame) (PullResult, error) {
	switch PullStatus(f.Code) {
	case PullFound, PullNotFound, PullRetryImmediately, PullOffsetMoved:
	default:
		return PullResult{}, Check(ReqPullMessage, f)
	}
	r := reader{fields: f.Fields}
	res := PullResult{
		Status:          PullStatus(f.Code),
		NextOffset:      r.int64("nextBeginOffset"),
		MinOffset:       r.int64("minOffset"),
		MaxOffset:       r.int64("maxOffset"),
		SuggestBrokerID: r.int64("suggestWhichBrokerId"),
		OffsetDelta:     r.int64Or("offsetDelta", 0),
		Remark:          f.Remark,
	}
	if r.err != nil {
		return PullResult{}, badAnswer(ReqPullMessage, r.err)
	}
	if res.Status == PullFound {
		res.Body = f.Body
	}
	return res, nil
}
