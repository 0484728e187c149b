package reader_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/reader"
)

// loop runs a loop over the reader on a goroutine of its own. It gives the bodies, and at the end the error.
func loop(t *testing.T, r *reader.Reader) (bodies chan string, done chan error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	bodies, done = make(chan string), make(chan error, 1)
	go func() {
		var failed error
		for m, err := range r.Messages(ctx) {
			if failed = err; err != nil {
				break
			}
			select {
			case bodies <- string(m.Body()):
			case <-ctx.Done():
			}
		}
		done <- failed
	}()
	return bodies, done, cancel
}

func take(bodies chan string, n int) map[string]bool {
	got := map[string]bool{}
	for range n {
		got[<-bodies] = true
	}
	return got
}

// Messages that have expired are passed over, and it is told how many, in order with the messages around them.
func TestExpired(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 100)...)
		q := rocketkit.Queue{Topic: "orders", Broker: "broker-a", ID: 0}
		var told []reader.Move
		r := w.reader(reader.Config{
			Positions: map[rocketkit.Queue]int64{q: 2}, Queues: []rocketkit.Queue{q},
			Moved: func(m reader.Move) { told = append(told, m) },
		})
		end := w.end(q)
		if err := w.Expire("red%orders", 10); err != nil {
			w.t.Fatal(err)
		}
		if got := len(readGaps(w.t, r, 10)); got != 10 || len(told) != 1 || told[0] != (reader.Move{Queue: q, From: 2, To: end - 10}) {
			w.t.Errorf("%d messages, moves %v", got, told)
		}
		if s := r.Stats().Queues[0]; s.Skipped != end-12 || told[0].Skipped() != end-12 {
			w.t.Errorf("%+v", s)
		}
		if w.logged.count("position moved by the broker") != 1 {
			w.t.Error("the log doesn't tell it once")
		}
	})
}

// A position beyond the end, as after a broker has lost its newest messages, goes back to where the queue ends.
func TestPositionBeyondTheEnd(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 20)...)
		q := rocketkit.Queue{Topic: "orders", Broker: "broker-a", ID: 0}
		end := w.end(q)
		moves := make(chan reader.Move, 1)
		r := w.reader(reader.Config{
			Positions: map[rocketkit.Queue]int64{q: 1000}, Queues: []rocketkit.Queue{q},
			Moved: func(m reader.Move) { moves <- m },
		})
		bodies, done, stop := loop(w.t, r)
		if m := <-moves; m.To != end || m.Skipped() != 0 {
			w.t.Errorf("%+v, the queue ends at %d", m, end)
		}
		if at := r.Positions()[q]; at != end {
			w.t.Errorf("position %d", at)
		}
		w.send(numbered(20, 24)...)
		take(bodies, int(w.end(q)-end))
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// Restarts of brokers and name servers, cut connections and refusals are survived without a loss or a repetition.
func TestTrouble(t *testing.T) {
	inBubble(t, mqtest.Config{Brokers: 2, NameServers: 2}, func(w *world) {
		all := numbered(0, 400)
		r := w.reader(reader.Config{Start: reader.Earliest(), BufferMessages: 64})
		bodies, done, stop := loop(w.t, r)
		got := map[string]bool{}
		for i, trouble := range []func() error{
			func() error { return w.Restart("broker-a") },
			func() error {
				w.Inject(mqtest.Fault{Request: mqtest.RequestPull, Break: mqtest.HalfFrame, Times: 2})
				return nil
			},
			func() error { w.Inject(mqtest.Fault{Request: mqtest.RequestPull, Code: 2, Times: 3}); return nil },
			func() error { return errors.Join(w.Stop("namesrv-a"), w.Restart("broker-b")) },
		} {
			part := all[i*100 : i*100+100]
			w.send(part[:50]...)
			if err := trouble(); err != nil {
				w.t.Fatal(err)
			}
			time.Sleep(time.Minute) // the producer's routes are fresh again
			w.send(part[50:]...)
			for body := range take(bodies, 100) {
				if got[body] {
					w.t.Errorf("%s came twice", body)
				}
				got[body] = true
			}
		}
		want(w.t, got, all)
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// A broker that is away holds up no other; it is told once, shown in Stats, and its queue goes on when it is back.
func TestOneBrokerAway(t *testing.T) {
	inBubble(t, mqtest.Config{Brokers: 2}, func(w *world) {
		r := w.reader(reader.Config{})
		bodies, done, stop := loop(w.t, r)
		<-r.Ready()
		w.Inject(mqtest.Fault{Request: mqtest.RequestPull, Server: "broker-b", Code: 14, Times: 100})
		all := numbered(0, 40)
		w.send(all...)
		here := 0
		for q, at := range w.Offsets("none", "red%orders") {
			if q.Broker == "broker-a" {
				here += int(at.Max)
			}
		}
		got := take(bodies, here)
		synctest.Wait()
		shown := 0
		for _, q := range r.Stats().Queues {
			if q.LastError != "" {
				shown++
			}
		}
		if shown != 2 {
			w.t.Errorf("%+v", r.Stats())
		}
		for body := range take(bodies, 40-here) {
			got[body] = true
		}
		want(w.t, got, all)
		if n := w.logged.count("queue not read, trying on"); n != 2 {
			w.t.Errorf("told %d times of 2 queues", n)
		}
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// Name servers that don't answer are waited for, and shown.
func TestWaitsForNameServers(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 10)...)
		other := w.Config()
		other.Tenant = "red"
		client, err := rocketkit.Open(other)
		if err != nil {
			w.t.Fatal(err)
		}
		defer client.Close(w.t.Context())
		if err := w.Stop("namesrv-a"); err != nil {
			w.t.Fatal(err)
		}
		r, err := reader.New(client, reader.Config{Topic: "orders", Start: reader.Earliest()})
		if err != nil {
			w.t.Fatal(err)
		}
		bodies, done, stop := loop(w.t, r)
		time.Sleep(time.Minute)
		if r.Stats().WaitingFor == "" {
			w.t.Error("Stats doesn't tell what is waited for")
		}
		if err := w.Restart("namesrv-a"); err != nil {
			w.t.Fatal(err)
		}
		want(w.t, take(bodies, 10), numbered(0, 10))
		if waits := r.Stats().WaitingFor; waits != "" {
			w.t.Errorf("still waiting for %s", waits)
		}
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// What no waiting cures ends the loop with an error that says what and where.
func TestFatal(t *testing.T) {
	inBubble(t, mqtest.Config{RequireGroups: true}, func(w *world) {
		missing, err := reader.New(w.client, reader.Config{Topic: "refunds"})
		if err != nil {
			w.t.Fatal(err)
		}
		for name, c := range map[string]struct {
			reader *reader.Reader
			is     error
			code   int
		}{
			"no topic": {missing, rocketkit.ErrNoRoute, 0},
			"no queue": {w.reader(reader.Config{Queues: []rocketkit.Queue{{Topic: "orders", Broker: "broker-a", ID: 7}}}), rocketkit.ErrNoRoute, 0},
			"no group": {w.reader(reader.Config{Group: "nobody"}), nil, 26},
			"no SQL":   {w.reader(reader.Config{SQL: "a > 5"}), nil, 1},
		} {
			_, done, stop := loop(w.t, c.reader)
			err := <-done
			stop()
			code, _, _ := rocketkit.Code(err)
			if err == nil || c.is != nil && !errors.Is(err, c.is) || code != c.code {
				w.t.Errorf("%s: %v", name, err)
			}
			w.t.Log(err)
		}
	})
}

// A permission that is withdrawn from what could be read before is waited for.
func TestPermissionWithdrawn(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		r := w.reader(reader.Config{Start: reader.Earliest()})
		bodies, done, stop := loop(w.t, r)
		w.send(numbered(0, 4)...)
		take(bodies, 4)
		time.Sleep(time.Minute) // each queue was answered
		w.Inject(mqtest.Fault{Request: mqtest.RequestPull, Code: 16, Times: 20})
		w.send(numbered(4, 8)...)
		take(bodies, 4)
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		refused := w.reader(reader.Config{Start: reader.Earliest()})
		w.Inject(mqtest.Fault{Request: mqtest.RequestPull, Code: 16})
		for _, err := range refused.Messages(w.t.Context()) {
			if code, _, _ := rocketkit.Code(err); code != 16 {
				w.t.Errorf("%v", err)
			}
		}
	})
}

// The buffer bounds what is received while the body of the loop works, however many queues there are, and the bytes too.
func TestBufferIsBounded(t *testing.T) {
	inBubble(t, mqtest.Config{Brokers: 4}, func(w *world) {
		w.send(numbered(0, 4000)...)
		for _, cfg := range []reader.Config{{BufferMessages: 100}, {BufferBytes: 5000}} {
			cfg.Start = reader.Earliest()
			r := w.reader(cfg)
			bodies, done, stop := loop(w.t, r)
			take(bodies, 1)
			synctest.Wait()
			s := r.Stats()
			limit := 100 + 8*32
			if s.Buffered > limit || s.Buffered < 100 || cfg.BufferBytes > 0 && s.BufferedBytes > 5000+8*32*200 {
				w.t.Errorf("%d messages in %d bytes are buffered", s.Buffered, s.BufferedBytes)
			}
			take(bodies, 3999)
			stop()
			if err := <-done; err != nil {
				w.t.Error(err)
			}
			if s := r.Stats(); s.Buffered != 0 || s.BufferedBytes != 0 {
				w.t.Errorf("left: %+v", s)
			}
		}
	})
}

// Queues that the topic gains are read from their beginning where all were asked for, and reported otherwise.
func TestTopicGrows(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		w.send(numbered(0, 20)...)
		two := []rocketkit.Queue{{Topic: "orders", Broker: "broker-a", ID: 0}, {Topic: "orders", Broker: "broker-a", ID: 1}}
		all, some := w.reader(reader.Config{}), w.reader(reader.Config{Queues: two})
		bodies, done, stop := loop(w.t, all)
		_, someDone, stopSome := loop(w.t, some)
		<-all.Ready()
		<-some.Ready()
		if err := w.CreateTopic("red%orders", 5); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(time.Minute) // routes are refreshed each 30 s
		later := numbered(20, 70)
		w.send(later...)
		want(w.t, take(bodies, 50), later)
		if got := all.Positions(); len(got) != 5 {
			w.t.Errorf("positions of %d queues: %v", len(got), got)
		}
		if got := some.Stats(); fmt.Sprint(got.Unread) != "[orders/broker-a/2 orders/broker-a/3 orders/broker-a/4]" || len(got.Queues) != 2 {
			w.t.Errorf("%+v", got)
		}
		stop()
		stopSome()
		if err := errors.Join(<-done, <-someDone); err != nil {
			w.t.Error(err)
		}
	})
}

// One loop at a time.
func TestSecondLoop(t *testing.T) {
	inBubble(t, mqtest.Config{}, func(w *world) {
		r := w.reader(reader.Config{})
		_, done, stop := loop(w.t, r)
		<-r.Ready()
		for m, err := range r.Messages(w.t.Context()) {
			if m != nil || err == nil {
				w.t.Errorf("a second loop got %v, %v", m, err)
			}
		}
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		if err := w.client.Close(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		for _, err := range r.Messages(w.t.Context()) {
			if !errors.Is(err, rocketkit.ErrClosed) {
				w.t.Errorf("on a closed client: %v", err)
			}
		}
	})
}
