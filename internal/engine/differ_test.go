package engine

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func tags(topic, expression string) protocol.SubscriptionData {
	return protocol.SubscriptionData{Topic: topic, Expression: expression, ExpressionType: protocol.ExpressionTag}
}

// TestExpressionsCompare: what is the same is the same however a library writes it.
func TestExpressionsCompare(t *testing.T) {
	t.Parallel()
	sql := protocol.SubscriptionData{Topic: "t", Expression: "a > 5", ExpressionType: protocol.ExpressionSQL}
	for name, test := range map[string]struct {
		a, b protocol.SubscriptionData
		same bool
	}{
		"all":            {tags("t", "*"), tags("t", ""), true},
		"order":          {tags("t", "a || b"), tags("t", "b||a"), true},
		"twice":          {tags("t", "a||a"), tags("t", " a "), true},
		"no type":        {protocol.SubscriptionData{Topic: "t", Expression: "a"}, tags("t", "a"), true},
		"versions":       {protocol.SubscriptionData{Topic: "t", Expression: "a", Version: 1}, tags("t", "a"), true},
		"more tags":      {tags("t", "a"), tags("t", "a||b"), false},
		"all and some":   {tags("t", "*"), tags("t", "a"), false},
		"case":           {tags("t", "a"), tags("t", "A"), false},
		"type":           {sql, tags("t", "a > 5"), false},
		"SQL":            {sql, protocol.SubscriptionData{Topic: "t", Expression: " a > 5 ", ExpressionType: "SQL92"}, true},
		"other SQL":      {sql, protocol.SubscriptionData{Topic: "t", Expression: "a > 6", ExpressionType: "SQL92"}, false},
		"other topic":    {tags("t", "*"), tags("u", "*"), false},
		"names no tag":   {tags("t", "||"), tags("t", "*"), false},
		"with retries":   {tags("t", "*"), tags("t", "*"), true},
		"of all retries": {tags("%RETRY%g", "*"), tags("%RETRY%g", "a"), true},
	} {
		a, b := expressions([]protocol.SubscriptionData{test.a}), expressions([]protocol.SubscriptionData{test.b, tags("%RETRY%g", "*")})
		same := len(a) == len(b)
		for topic := range a {
			same = same && a[topic] == b[topic]
		}
		if same != test.same {
			t.Errorf("%s: %v and %v: same is %v", name, a, b, same)
		}
	}
}

// answering has other members answer what they subscribe to; asked counts the questions.
func answering(r *rig, asked *atomic.Int32, of func(id string) *protocol.ConsumerRunningInfo) {
	r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
		if req.Code != protocol.ReqRunningInfo {
			return nil
		}
		asked.Add(1)
		if info := of(field(req, "clientId")); info != nil {
			return info.Answer()
		}
		return refuse(protocol.CodeSystemError, "not online")
	})
}

// TestDifferingSubscriptions are reported while they last: once in the log, and in the snapshot.
func TestDifferingSubscriptions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 4)
		r.Topic(topicU, 4)
		var theirs atomic.Pointer[protocol.ConsumerRunningInfo]
		var asked atomic.Int32
		answering(r, &asked, func(string) *protocol.ConsumerRunningInfo { return theirs.Load() })
		cfg := config(new(got).handle)
		cfg.Topics["t"] = Topic{Workers: 1, Handle: new(got).handle, Tags: []string{"b", "a"}}
		e := r.run(cfg)
		time.Sleep(time.Hour)
		if n := asked.Load(); n != 0 {
			t.Errorf("alone in the group, it asked %d times", n)
		}
		say := func(subscriptions ...protocol.SubscriptionData) {
			theirs.Store(&protocol.ConsumerRunningInfo{Subscriptions: subscriptions})
			time.Sleep(2 * time.Minute)
		}
		check := func(lines int, want ...Difference) {
			t.Helper()
			if got := e.Snapshot().Differing; !slices.Equal(got, want) {
				t.Errorf("differing %v, want %v", got, want)
			}
			if got := r.logs.count("subscribes differently"); got != lines {
				t.Errorf("%d lines in the log, want %d", got, lines)
			}
		}
		say(tags(topicT, "a||b"), tags(retryG, "*"))
		r.AddMember(groupG, "other")
		time.Sleep(2 * time.Minute)
		check(0)
		before := asked.Load()
		time.Sleep(time.Hour)
		if n := asked.Load() - before; n > 182 {
			t.Errorf("asked %d times in an hour", n)
		}
		say(tags(topicT, "a"))
		first := Difference{"other", "t", "a || b", "a"}
		check(1, first)
		time.Sleep(time.Hour)
		check(1, first)
		theirs.Store(nil) // it can't be asked: what was known is still true
		time.Sleep(time.Minute)
		check(1, first)
		say(tags(topicT, "a"), tags(topicU, "*"))
		check(2, first, Difference{"other", "u", "", "*"})
		if line := r.logs.find("topic=u"); !strings.Contains(line, "member=other") || !strings.Contains(line, "ours=nothing") {
			t.Errorf("log: %s", line)
		}
		say(tags(topicT, "b || a"))
		check(2)
		if r.logs.count("doesn't subscribe differently any more") != 1 {
			t.Error("its end isn't logged")
		}
		say()
		check(3, Difference{"other", "t", "a || b", ""})
		r.RemoveMember(groupG, "other")
		time.Sleep(time.Second)
		check(3)
		e.mustStop()
	})
}

// TestManyMembersAreAskedInTurn: a large group costs no more questions than a small one, and all are asked in the end.
func TestManyMembersAreAskedInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 1)
		var asked atomic.Int32
		answering(r, &asked, func(id string) *protocol.ConsumerRunningInfo {
			if id == "m00049" {
				return &protocol.ConsumerRunningInfo{Subscriptions: []protocol.SubscriptionData{tags(topicT, "x")}}
			}
			return &protocol.ConsumerRunningInfo{Subscriptions: []protocol.SubscriptionData{tags(topicT, "*")}}
		})
		for _, id := range numbered("m", 50) {
			r.AddMember(groupG, id)
		}
		e := r.run(config(new(got).handle))
		time.Sleep(10*time.Second + 3*compareEvery)
		if got, want := e.Snapshot().Differing, []Difference{{"m00049", "t", "*", "x"}}; !slices.Equal(got, want) {
			t.Errorf("differing %v, want %v", got, want)
		}
		if n := asked.Load(); n > 5*compareAtOnce {
			t.Errorf("%d questions", n)
		}
		e.mustStop()
	})
}

// TestSilentMembersHoldUpNothing: members that don't answer delay neither the sharing out nor the stop.
func TestSilentMembersHoldUpNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.Topic(topicT, 4)
		r.Script(func(_ *scriptedConn, req *frame.Frame) *frame.Frame {
			if req.Code == protocol.ReqRunningInfo {
				return noAnswer
			}
			return nil
		})
		for _, id := range numbered("zz", 10) {
			r.AddMember(groupG, id)
		}
		began := time.Now()
		e := r.run(config(new(got).handle))
		if took := time.Since(began); took > time.Second {
			t.Errorf("ready after %v", took)
		}
		for _, id := range numbered("zz", 10) {
			r.RemoveMember(groupG, id)
		}
		eventually(t, "all queues", func() bool { return len(e.Snapshot().Topics["t"].Queues) == 4 })
		r.AddMember(groupG, "zz")
		time.Sleep(time.Minute)
		began = time.Now()
		e.mustStop()
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %v", took)
		}
	})
}
