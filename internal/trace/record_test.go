package trace

import (
	_ "embed"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/hook"
)

// javas is what RocketMQ's TraceDataEncoder printed; testdata/Records.java is the program.
//
//go:embed testdata/records-5.5.0.tsv
var javas string

func TestRecordsAreJavas(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSpace(javas), "\n")
	if len(rows) != 10 {
		t.Fatalf("testdata holds %d rows, want 10", len(rows))
	}
	for _, row := range rows {
		col := strings.Split(row, "\t")
		kind, bare := strings.CutSuffix(col[0], " bare")
		r := record{
			kind: kind, at: time.UnixMilli(1700000000123), region: "DefaultRegion", group: "billing", request: "7F0000010002",
			cost: 7 * time.Millisecond, success: !bare, topic: "orders", id: "7F0000010001",
			offsetID: "7F00000100002A9F0000000000000000", host: "127.0.0.1:10911", size: 42, retries: 3,
			transaction: "7F0000010001", state: "ROLLBACK_MESSAGE", checked: !bare,
		}
		switch {
		case kind == kindEnd:
			r.message = messageCommit
		case !bare:
			r.message = messageDelay
		}
		if bare {
			r.code = codeFailed
		} else {
			r.tag, r.keys, r.state = "paid", "k1 k2", "COMMIT_MESSAGE"
		}
		got := strings.NewReplacer("\x01", `\001`, "\x02", `\002`).Replace(string(r.encode()))
		if got != col[1] {
			t.Errorf("%s is\n%s, want Java's\n%s", col[0], got, col[1])
		}
		if keys := fmt.Sprint(len(r.index())); keys != col[2] {
			t.Errorf("%s has %s keys, want Java's %s", col[0], keys, col[2])
		}
	}
}

func TestCodesOfHandlersCalls(t *testing.T) {
	t.Parallel()
	for want, o := range map[int]hook.Outcome{
		codeSuccess:   {},
		codeTimeOut:   {TimedOut: true, Verdict: hook.Retry},
		codeException: {Panicked: true, TimedOut: true, Verdict: hook.Retry},
		codeFailed:    {Verdict: hook.Drop},
	} {
		if got := codeOf(o); got != want {
			t.Errorf("code of %+v is %d, want %d", o, got, want)
		}
	}
}

// Separators in what others have sent end no field and no record.
func TestSeparatorsWithinFields(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{kindPub, kindBefore, kindAfter, kindEnd, kindRecall} {
		plain := record{kind: kind, id: "id", keys: "a b", tag: "t", region: "r"}
		hostile := record{kind: kind, id: "i\x02Pub\x01d", keys: "a\x01b", tag: "\x01", region: "\x02"}
		for _, separator := range []string{"\x01", "\x02"} {
			if got, want := strings.Count(string(hostile.encode()), separator), strings.Count(string(plain.encode()), separator); got != want {
				t.Errorf("%s: %d times %q, want %d", kind, got, separator, want)
			}
		}
	}
}
