package mqtest

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestFaults(t *testing.T) {
	send := func() *frame.Frame { return sendRequest("orders", "x").Frame() }
	for name, test := range map[string]struct {
		fault  Fault
		code   int32         // answered
		err    error         // or none
		took   time.Duration // before the answer or error
		stored int
	}{
		"code":             {fault: Fault{Code: 2}, code: 2},
		"code after":       {fault: Fault{Code: 14, After: true}, code: 14, stored: 1},
		"delayed code":     {fault: Fault{Code: 2, Delay: time.Second}, code: 2, took: time.Second},
		"delay":            {fault: Fault{Delay: time.Second}, took: time.Second, stored: 1},
		"delayed answer":   {fault: Fault{Delay: time.Second, After: true}, took: time.Second, stored: 1},
		"disconnect":       {fault: Fault{Break: Disconnect}, err: io.EOF},
		"disconnect after": {fault: Fault{Break: Disconnect, After: true, Delay: time.Second}, err: io.EOF, took: time.Second, stored: 1},
		"half a frame":     {fault: Fault{Break: HalfFrame}, err: frame.ErrMalformed, stored: 1},
		"silence":          {fault: Fault{Break: Silence}, err: context.DeadlineExceeded, took: 5 * time.Second},
		"other server":     {fault: Fault{Code: 2, Server: "namesrv-a"}, stored: 1},
		"other request":    {fault: Fault{Code: 2, Request: RequestPull}, stored: 1},
		"other topic":      {fault: Fault{Code: 2, Topic: "refunds"}, stored: 1},
		"its topic":        {fault: Fault{Code: 2, Topic: "orders", Group: "p", Request: RequestSend, Server: "broker-a"}, code: 2},
		"skipped":          {fault: Fault{Code: 2, Skip: 1}, stored: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
				cl.call("", protocol.MaxOffset{Topic: "orders"}.Frame())
				c.Inject(test.fault)
				begin := time.Now()
				f, err := cl.try("", send(), 5*time.Second)
				switch {
				case test.err != nil:
					if !errors.Is(err, test.err) {
						t.Errorf("%v, want %v", err, test.err)
					}
				case err != nil:
					t.Fatal(err)
				case f.Code != test.code:
					t.Errorf("code %d, want %d", f.Code, test.code)
				}
				if took := time.Since(begin); took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				synctest.Wait()
				if n := len(c.Messages("orders")); n != test.stored {
					t.Errorf("%d stored, want %d", n, test.stored)
				}
			})
		})
	}
}

func TestFaultsAreCounted(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		ask := func() int32 { return cl.call("", protocol.MaxOffset{Topic: "x"}.Frame()).Code }
		f := c.Inject(Fault{Code: 2, Skip: 1, Times: 2})
		other := newClient(t, c)
		mine := c.Inject(Fault{Code: 3, Client: other.id})
		waited := make(chan error, 1)
		go func() { waited <- f.Wait(context.Background(), 2) }()
		got := []int32{ask(), ask(), ask(), ask()}
		if got[0] != 0 || got[1] != 2 || got[2] != 2 || got[3] != 0 || f.Count() != 2 || mine.Count() != 0 {
			t.Fatal(got, f.Count(), mine.Count())
		}
		if err := <-waited; err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := f.Wait(ctx, 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if code := other.call("", protocol.MaxOffset{Topic: "x"}.Frame()).Code; code != 3 {
			t.Fatal(code)
		}
		mine.Remove()
		mine.Remove()
		if code := other.call("", protocol.MaxOffset{Topic: "x"}.Frame()).Code; code != 0 {
			t.Fatal(code)
		}
	})
}

func TestPartition(t *testing.T) {
	bubble(t, Config{Brokers: 2}, func(t *testing.T, c *Cluster, cl *client) {
		other := newClient(t, c)
		ask := protocol.MaxOffset{Topic: "x"}.Frame()
		cl.call("broker-a", ask)
		cl.join("g")
		p := c.Partition(cl.id, "broker-a")
		if _, err := cl.try("broker-a", ask, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if f := cl.call("broker-b", ask); f.Code != 0 {
			t.Fatal(f.Remark)
		}
		if f := other.call("broker-a", ask); f.Code != 0 {
			t.Fatal(f.Remark)
		}
		cl.remote.Drop(cl.address("broker-a"))
		synctest.Wait()
		if n := len(c.Members("g")); n != 1 {
			t.Fatal("the broker noticed")
		}
		if _, err := cl.try("broker-a", ask, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("connected through the partition:", err)
		}
		p.Heal()
		p.Heal()
		synctest.Wait()
		if n := len(c.Members("g")); n != 0 {
			t.Fatal("the broker didn't notice")
		}
		time.Sleep(5 * time.Second)
		if f := cl.call("broker-a", ask); f.Code != 0 {
			t.Fatal(f.Remark)
		}
	})
}

func TestOnlyOfASilentConnectionAreMembersTold(t *testing.T) {
	for name, test := range map[string]struct {
		talks   bool // sends other requests than heartbeats, rather than being cut off
		notices int
	}{
		"cut off":       {false, 1},
		"no heartbeats": {true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
				lost := newClient(t, c)
				cl.join("g", "orders")
				lost.join("g", "orders")
				synctest.Wait()
				cl.notices(protocol.ReqConsumersChanged)
				if !test.talks {
					c.Partition(lost.id, "broker-a")
				}
				for range 13 {
					time.Sleep(10 * time.Second)
					cl.join("g", "orders")
					if test.talks {
						lost.call("", protocol.MaxOffset{Topic: "orders"}.Frame())
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if n := cl.notices(protocol.ReqConsumersChanged); n != test.notices {
					t.Errorf("told %d times, want %d", n, test.notices)
				}
				if members := c.Members("g"); len(members) != 1 {
					t.Errorf("%v after 131 s", members)
				}
			})
		})
	}
}

func TestWhatAPartitionHoldsUpArrives(t *testing.T) {
	bubble(t, Config{Topics: map[string]int{"orders": 1}}, func(t *testing.T, c *Cluster, cl *client) {
		cl.send("orders", "first")
		p := c.Partition(cl.id, "")
		time.AfterFunc(time.Second, p.Heal)
		begin := time.Now()
		cl.send("orders", "second")
		if took := time.Since(begin); took != time.Second {
			t.Fatal(took)
		}
	})
}

func TestAStopBehindAPartitionIsNoticedOnceItHeals(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		nc, err := c.Config().Dial(t.Context(), "tcp", cl.address("broker-a"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		noticed := make(chan error, 1)
		go func() {
			_, err := nc.Read(make([]byte, 1))
			noticed <- err
		}()
		p := c.Partition("", "broker-a")
		if err := c.Restart("broker-a"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		select {
		case err := <-noticed:
			t.Fatal("through the partition:", err)
		default:
		}
		if _, err := nc.Write([]byte("x")); err != nil {
			t.Fatal("through the partition:", err)
		}
		p.Heal()
		synctest.Wait()
		select {
		case err := <-noticed:
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		default:
			t.Fatal("not noticed after the partition")
		}
	})
}

func TestCloseDuringAPartition(t *testing.T) {
	bubble(t, Config{}, func(t *testing.T, c *Cluster, cl *client) {
		cl.join("g")
		c.Partition("", "")
		if _, err := cl.try("broker-a", protocol.MaxOffset{Topic: "x"}.Frame(), time.Second); err == nil {
			t.Fatal("answered")
		}
		if err := c.Stop("broker-a"); err != nil { // leaves a connection that only the end of the cluster closes
			t.Fatal(err)
		}
		go cl.try("namesrv-a", protocol.GetCluster{}.Frame(), time.Hour)
		synctest.Wait()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
