package trace

import (
	"strconv"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/hook"
)

// Separators of fields and of records (TraceConstants.CONTENT_SPLITOR and FIELD_SPLITOR).
const (
	fieldEnd  = '\x01'
	recordEnd = '\x02'
)

// defaultRegion stands where a broker names none (MixAll.DEFAULT_TRACE_REGION_ID).
const defaultRegion = "DefaultRegion"

// record is one event in a message's life, a TraceContext with one TraceBean.
type record struct {
	kind     string // TraceType's name
	at       time.Time
	region   string
	group    string // logical, as Java's withoutNamespace leaves it
	request  string // joins the two records of a handler's call
	cost     time.Duration
	success  bool
	code     int // ConsumeReturnType's ordinal
	topic    string
	id       string
	offsetID string
	tag      string
	keys     string // joined by spaces
	host     string // the broker's
	size     int
	message  int // MessageType's ordinal
	retries  int

	transaction string // its id
	state       string // LocalTransactionState's name
	checked     bool   // by a check-back
}

// TraceType's names.
const (
	kindPub    = "Pub"
	kindBefore = "SubBefore"
	kindAfter  = "SubAfter"
	kindEnd    = "EndTransaction"
	kindRecall = "Recall"
)

// MessageType's ordinals.
const (
	messageNormal = 0
	messageHalf   = 1
	messageCommit = 2
	messageDelay  = 3
)

// ConsumeReturnType's ordinals; RETURNNULL, 3, is for what only Java has.
const (
	codeSuccess   = 0
	codeTimeOut   = 1
	codeException = 2
	codeFailed    = 4
)

// encode writes the record as TraceDataEncoder does.
func (r *record) encode() []byte {
	w := writer(r.kind)
	switch r.kind {
	case kindPub:
		w.place(r)
		w.text(r.host)
		w.number(int64(r.size))
		w.number(r.cost.Milliseconds())
		w.number(int64(r.message))
		w.text(r.offsetID)
		w.flag(r.success)
	case kindBefore:
		w.origin(r)
		w.text(r.request)
		w.text(r.id)
		w.number(int64(r.retries))
		w.text(orNull(r.keys))
	case kindAfter:
		w.text(r.request)
		w.text(r.id)
		w.number(r.cost.Milliseconds())
		w.flag(r.success)
		w.text(orNull(r.keys))
		w.number(int64(r.code))
		w.number(r.at.UnixMilli())
		w.text(r.group)
	case kindEnd:
		w.place(r)
		w.text(r.host)
		w.number(int64(r.message))
		w.text(r.transaction)
		w.text(r.state)
		w.flag(r.checked)
	case kindRecall:
		w.origin(r)
		w.text(r.topic)
		w.text(r.id)
		w.flag(r.success)
	}
	return append(w, recordEnd)
}

// writer appends fields, each after its separator.
type writer []byte

// text appends one that may be anybody's: a client may send keys with a separator in them, which would make the tool's
// decoder fail on the whole message of the trace.
func (w *writer) text(s string) {
	*w = append(*w, fieldEnd)
	for i := range len(s) {
		if s[i] == fieldEnd || s[i] == recordEnd {
			*w = append(*w, ' ')
			continue
		}
		*w = append(*w, s[i])
	}
}

func (w *writer) number(n int64) { *w = strconv.AppendInt(append(*w, fieldEnd), n, 10) }
func (w *writer) flag(b bool)    { *w = strconv.AppendBool(append(*w, fieldEnd), b) }

func (w *writer) origin(r *record) {
	w.number(r.at.UnixMilli())
	w.text(r.region)
	w.text(r.group)
}

func (w *writer) place(r *record) {
	w.origin(r)
	w.text(r.topic)
	w.text(r.id)
	w.text(orNull(r.tag))
	w.text(orNull(r.keys))
}

// orNull is what Java makes of a property that a message lacks. Its decoder needs it: it trips over a record that ends
// with an empty field.
func orNull(s string) string {
	if s == "" {
		return "null"
	}
	return s
}

// index gives what the record can be found by: the message's id and keys.
func (r *record) index() []string {
	return append([]string{r.id}, strings.Fields(r.keys)...)
}

// codeOf tells how a handler's call ended, as ConsumeMessageConcurrentlyService puts it: a call that took too long is a
// time-out whatever came of it, unless it panicked.
func codeOf(o hook.Outcome) int {
	switch {
	case o.Panicked:
		return codeException
	case o.TimedOut:
		return codeTimeOut
	case o.Verdict != hook.Done:
		return codeFailed
	}
	return codeSuccess
}
