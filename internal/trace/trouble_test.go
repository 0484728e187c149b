package trace_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

// Neither who reads the trace topic nor who writes to it is traced: that would never end.
func TestTraceTopicIsNotTraced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		p := r.producer()
		if _, err := p.Send(t.Context(), producer.Message{Topic: rocketkit.DefaultTenantTraceTopic, Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		got := make(chan struct{}, 1)
		r.consume(consumer.Topic{Handler: func(context.Context, *rocketkit.Message) error { got <- struct{}{}; return nil }},
			rocketkit.DefaultTenantTraceTopic, func() { <-got; time.Sleep(time.Minute) })
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if records, _ := r.records(1); len(records) != 1 || records[0][0] != "x" {
			t.Errorf("records %q", records)
		}
	})
}

// Without its topic, sends work as ever, and the log says once what is to be created; it is written once it is there.
func TestTraceTopicIsMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, map[string]int{"red%orders": 1})
		p := r.producer()
		send := func() {
			t.Helper()
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			send()
			time.Sleep(time.Second)
		}
		said := r.log.String()
		if strings.Count(said, "message trace") != 1 || !strings.Contains(said, "TRACE_TOPIC") || !strings.Contains(said, "create the topic") {
			t.Errorf("log: %s", said)
		}
		if strings.Contains(said, "red%") {
			t.Errorf("the log has physical names: %s", said)
		}
		if err := r.cluster.CreateTopic("red%TRACE_TOPIC", 1); err != nil {
			t.Fatal(err)
		}
		send()
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.records(1)
	})
}

// A trace topic whose broker answers nothing delays no send; the end waits for it five seconds.
func TestTraceTopicThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		silent := r.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Topic: "red%TRACE_TOPIC", Break: mqtest.Silence})
		p := r.producer()
		body := bytes.Repeat([]byte("x"), 10)
		began := time.Now()
		for range 2000 { // more than there is room for
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: body, Tag: strings.Repeat("t", 5000)}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("sending took %v", took)
		}
		time.Sleep(time.Minute)
		if silent.Count() == 0 {
			t.Error("nothing was traced")
		}
		began = time.Now()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		if said := r.log.String(); strings.Count(said, "message trace") != 1 {
			t.Errorf("log: %s", said)
		}
	})
}

// Close keeps to its context, also while the trace can't be written.
func TestCloseKeepsToItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		r.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Topic: "red%TRACE_TOPIC", Break: mqtest.Silence})
		p := r.producer()
		if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_ = p.Close(ctx) // leaving the brokers' lists may have no time left
		if took := time.Since(began); took > time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// Records wait for others also while messages come without end, and the trace topic's broker answers slowly.
func TestRecordsWaitForOthersUnderLoad(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, both())
		r.cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Topic: "red%TRACE_TOPIC", Delay: 10 * time.Millisecond})
		p := r.producer()
		for range 1000 {
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte("x")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(r.cluster.Messages("red%TRACE_TOPIC")); n > 10 { // one each second, and the last
			t.Errorf("1000 records of 5 s are in %d messages", n)
		}
		r.records(1000)
	})
}
