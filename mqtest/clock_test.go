package mqtest

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// A clock that jumps shows in what the broker stamps and in what it waits for.
func TestSetClock(t *testing.T) {
	for name, test := range map[string]struct {
		ahead time.Duration
		held  time.Duration // until a held pull is answered
		retry time.Duration // until a message that waits for level 5, a minute, comes
		timed time.Duration // until one that waits for a time comes
	}{
		"ahead":  {time.Hour, 0, 0, 0},
		"behind": {-time.Hour, time.Hour + 10*time.Second, 0, time.Hour + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Topics: map[string]int{"orders": 1, "idle": 1}}, func(t *testing.T, c *Cluster, cl *client) {
				cl.join("g", "orders", "idle")
				began := time.Now()
				held := make(chan time.Duration, 1)
				go func() {
					p := pullRequest("g", "idle", 0)
					p.SysFlag |= protocol.PullSuspend
					p.SuspendMillis = 10_000
					if _, err := cl.try("", p.Frame(), 3*time.Hour); err != nil {
						t.Error(err)
					}
					held <- time.Since(began)
				}()
				cl.send("orders", "level", protocol.PropertyDelayLevel, "5")
				cl.send("orders", "timed", protocol.PropertyTimerDelaySeconds, "60")
				synctest.Wait()
				if err := c.SetClock("", test.ahead); err != nil {
					t.Fatal(err)
				}
				cl.send("orders", "plain")
				came := map[string]time.Duration{}
				for n := range 3 {
					if err := c.WaitMessages(t.Context(), "orders", n+1); err != nil {
						t.Fatal(err)
					}
					for _, m := range c.Messages("orders") {
						if _, known := came[string(m.Body())]; !known {
							came[string(m.Body())] = time.Since(began)
						}
						if off := time.Until(m.StoreTime()); off > test.ahead || off < test.ahead-2*time.Hour {
							t.Errorf("%s is stamped %v off", m.Body(), off)
						}
					}
				}
				if took := came["level"]; took != test.retry {
					t.Errorf("the message with a level came after %v, want %v", took, test.retry)
				}
				if took := came["timed"]; took < test.timed || took > test.timed+2*time.Second {
					t.Errorf("the timed message came after %v, want %v", took, test.timed)
				}
				if took := <-held; took != test.held {
					t.Errorf("the pull was held for %v, want %v", took, test.held)
				}
			})
		})
	}
}

// A jump ahead makes a broker take every member for silent.
func TestClockAheadLosesMembersAndLocks(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g", "orders")
		queue := protocol.Queue{Topic: "orders", Broker: "broker-a"}
		cl.ok(protocol.LockQueues{Group: "g", ClientID: "other", Queues: []protocol.Queue{queue}}.Frame())
		if err := c.SetClock("broker-a", time.Hour); err != nil {
			t.Fatal(err)
		}
		got, err := protocol.ParseLockQueues(cl.ok(protocol.LockQueues{Group: "g", ClientID: cl.id, Queues: []protocol.Queue{queue}}.Frame()))
		if err != nil || len(got) != 1 {
			t.Errorf("locked %v, %v: the other's lock has expired", got, err)
		}
		time.Sleep(scanEvery)
		synctest.Wait()
		if n := len(c.Members("g")); n != 0 {
			t.Errorf("%d members", n)
		}
		if err := c.SetClock("broker-x", 0); err == nil || !strings.Contains(err.Error(), "broker-x") {
			t.Error(err)
		}
	})
}

// A fault finds its topic and group wherever a request names them.
func TestFaultsOfATopicOrGroup(t *testing.T) {
	locked := []protocol.Queue{{Topic: "orders", Broker: "broker-a"}}
	for name, fault := range map[string]Fault{"topic": {Topic: "orders", Code: 99}, "group": {Group: "g", Code: 99}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Topics: map[string]int{"orders": 1, "other": 1}}, func(t *testing.T, c *Cluster, cl *client) {
				cl.join("g", "orders")
				cl.send("orders", "x")
				m := cl.messages("g", "orders", 0)[0]
				c.Inject(fault)
				cl.refused(99, cl.beat("g", "orders"))
				cl.refused(99, protocol.LockQueues{Group: "g", ClientID: cl.id, Queues: locked}.Frame())
				cl.refused(99, protocol.UnlockQueues{Group: "g", ClientID: cl.id, Queues: locked}.Frame())
				cl.refused(99, protocol.SendBack{Group: "g", Offset: m.CommitLogOffset, DelayLevel: 5, OriginTopic: "orders"}.Frame())
				cl.refused(99, pullRequest("g", "orders", 0).Frame())
				cl.join("h", "other")
			})
		})
	}
}

// What names a server that there isn't says so, rather than do nothing.
func TestUnknownServers(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, _ *client) {
		for what, do := range map[string]func(){
			"Inject":    func() { c.Inject(Fault{Server: "broker-z"}) },
			"Partition": func() { c.Partition("", "broker-z") },
		} {
			func() {
				defer func() {
					if text, _ := recover().(string); !strings.Contains(text, "broker-z") || !strings.Contains(text, "broker-a") {
						t.Errorf("%s panics with %q", what, text)
					}
				}()
				do()
			}()
		}
	})
}

func TestRestartAfterClose(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, _ *client) {
		_ = c.Close()
		if err := c.Restart("broker-a"); !errors.Is(err, errClosed) {
			t.Error(err)
		}
	})
}

// A group that nobody has ever been in hasn't consumed anything, be the topic empty.
func TestWaitConsumedByNobody(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		if err := c.WaitConsumed(canceled(), "biling", "orders"); err == nil || !strings.Contains(err.Error(), "group biling doesn't exist") {
			t.Error(err)
		}
		cl.join("billing", "orders")
		if err := c.WaitConsumed(t.Context(), "billing", "orders"); err != nil {
			t.Error(err)
		}
	})
}

// A cluster that was made outside of a bubble says so to whoever uses it inside.
func TestClusterFromOutsideTheBubble(t *testing.T) {
	c := New(t, Config{Topics: map[string]int{"orders": 1}})
	dial, address := c.Config().Dial, c.Addresses()[0]
	synctest.Test(t, func(t *testing.T) {
		if _, err := dial(t.Context(), "tcp", address); !errors.Is(err, errBubble) {
			t.Error(err)
		}
		if err := c.WaitMessages(t.Context(), "orders", 1); !errors.Is(err, errBubble) {
			t.Error(err)
		}
	})
}
