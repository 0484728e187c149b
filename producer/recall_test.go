package producer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/producer"
)

func handleOf(topic, broker string) string {
	return protocol.RecallHandle{Topic: topic, Broker: broker, Due: time.Now().Add(time.Hour).UnixMilli(), ID: "1D"}.String()
}

// What a broker can't recall is an error that says why.
func TestRecallsThatAreRefused(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		code    int32
		remark  string
		version int32
	}{
		"the broker runs V5_3_0, and brokers recall messages since RocketMQ 5.3.2": {protocol.CodeRequestNotSupported, " request type 370 not supported", 473},
		"the broker's setting recallMessageEnable is off":                          {protocol.CodeNoPermission, "recall failed, operation is forbidden", 513},
		"the message is due, and delivered or about to be":                         {protocol.CodeIllegalOperation, "recall failed, timestamp invalid", 513},
		"access denied": {protocol.CodeNoPermission, "access denied", 513},
	} {
		f := cluster(t, "red%orders", 1, "a")
		f.version = c.version
		f.recall = func(protocol.RecallHandle) (int32, string) { return c.code, c.remark }
		_, err := f.producer("red", producer.Config{}).Recall(t.Context(), "orders", handleOf("red%orders", "a"))
		code, _, ok := rocketkit.Code(err)
		if err == nil || producer.Retryable(err) || !ok || code != int(c.code) ||
			!strings.HasPrefix(err.Error(), "producer: recall orders: ") || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want it to say %q", err, says)
		}
	}
}

// Handles that can't be this tenant's and topic's are refused before anything is sent.
func TestHandlesThatAreNone(t *testing.T) {
	t.Parallel()
	f := cluster(t, "red%orders", 1, "a")
	p := f.producer("red", producer.Config{})
	for handle, says := range map[string]string{
		"":                             "there is no handle",
		"!":                            "recall handle",
		"djI":                          "recall handle",
		"djE=":                         "isn't of version 1",
		handleOf("red%refunds", "a"):   "of a message of another topic",
		handleOf("blue%orders", "a"):   "of a message of another topic",
		handleOf("orders", "a"):        "of a message of another topic",
		handleOf("red%orders ", "a b"): "its time",
	} {
		_, err := p.Recall(t.Context(), "orders", handle)
		if err == nil || producer.Retryable(err) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "blue") {
			t.Errorf("%q: %v, want it to say %q", handle, err, says)
		}
	}
	if n := f.count(&f.dials); n != 0 {
		t.Errorf("bad handles led to %d dials", n)
	}
}

func TestRecallIsTriedUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := cluster(t, "orders", 1, "a", "b")
		asked := 0
		f.recall = func(protocol.RecallHandle) (int32, string) {
			if asked++; asked < 5 {
				return protocol.CodeSystemBusy, "busy"
			}
			return 0, ""
		}
		p := f.producer("", producer.Config{})
		if id, err := p.Recall(t.Context(), "orders", handleOf("orders", "b")); err != nil || id != "1D" || asked != 5 {
			t.Errorf("%q, %v after %d requests", id, err, asked)
		}
		f.stop("b:10911")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := p.Recall(ctx, "orders", handleOf("orders", "b")); !errors.Is(err, context.DeadlineExceeded) || !producer.Retryable(err) {
			t.Errorf("of a broker that is away: %v", err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Recall(t.Context(), "orders", handleOf("orders", "b")); !errors.Is(err, rocketkit.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}
