package reader

import (
	"errors"
	"log/slog"
	"os"
	"slices"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// stored is a block with one message, and its offset, as a broker sent it.
func stored(t *testing.T) (block []byte, offset int64) {
	t.Helper()
	block, err := os.ReadFile("../internal/protocol/testdata/golden/message_v4.bin")
	if err != nil {
		t.Fatal(err)
	}
	messages, err := protocol.DecodeMessages(block, "orders")
	if err != nil || len(messages) != 1 {
		t.Fatal(messages, err)
	}
	return block, messages[0].QueueOffset
}

// reading is a queue of a reader in the midst of a loop.
func reading(t *testing.T) *queue {
	t.Helper()
	client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"127.0.0.1:9876"}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(t.Context()) })
	r, err := New(client, Config{Topic: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	return r.newQueue(rocketkit.Queue{Topic: "orders", Broker: "broker-a"})
}

// What can't be decoded ends the loop only after the messages before it were given, and the error names the offset.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	good, at := stored(t)
	bad := slices.Concat(good, good[:len(good)/2])
	q := reading(t)
	b := &block{queue: q, next: at}
	if err := q.take(b, &protocol.PullResult{Status: protocol.PullFound, NextOffset: at + 2, Body: bad}); err != nil {
		t.Fatal(err)
	}
	if len(b.messages) != 1 || b.next != at+1 {
		t.Errorf("%d messages, then on at %d", len(b.messages), b.next)
	}
	b = &block{queue: q, next: at + 1}
	err := q.take(b, &protocol.PullResult{Status: protocol.PullFound, NextOffset: at + 2, Body: good[:len(good)/2]})
	if !errors.Is(err, errUnreadable) || len(b.messages) != 0 {
		t.Fatalf("%d messages, %v", len(b.messages), err)
	}
	l := newLoop(q.r)
	if !q.failed(t.Context(), l, err) {
		t.Error("it is tried again")
	}
	if _, _, given := l.take(); !errors.Is(given, errUnreadable) {
		t.Errorf("the loop is given %v", given)
	}
}

// What answers say of the position.
func TestAnswers(t *testing.T) {
	t.Parallel()
	body, at := stored(t)
	for name, c := range map[string]struct {
		result   protocol.PullResult
		next     int64 // from at
		moved    bool
		messages int
	}{
		"found":              {protocol.PullResult{Status: protocol.PullFound, NextOffset: at + 5, Body: body}, 5, false, 1},
		"static topic":       {protocol.PullResult{Status: protocol.PullFound, NextOffset: at + 5, Body: body, OffsetDelta: 2}, 5, false, 1},
		"earlier than asked": {protocol.PullResult{Status: protocol.PullFound, NextOffset: at + 5, Body: body, OffsetDelta: -1}, 5, false, 0},
		"nothing":            {protocol.PullResult{Status: protocol.PullNotFound, NextOffset: at}, 0, false, 0},
		"filtered":           {protocol.PullResult{Status: protocol.PullRetryImmediately, NextOffset: at + 800}, 800, false, 0},
		"expired":            {protocol.PullResult{Status: protocol.PullOffsetMoved, NextOffset: at + 7}, 7, true, 0},
		"being deleted":      {protocol.PullResult{Status: protocol.PullRetryImmediately, NextOffset: at + 7, Remark: "MESSAGE_WAS_REMOVING"}, 7, true, 0},
		"lost":               {protocol.PullResult{Status: protocol.PullOffsetMoved, NextOffset: at - 1}, -1, true, 0},
		"moved to itself":    {protocol.PullResult{Status: protocol.PullOffsetMoved, NextOffset: at}, 0, false, 0},
		"a group's reset":    {protocol.PullResult{Status: protocol.PullOffsetMoved, NextOffset: at - 1, Remark: "OFFSET_RESET"}, 0, false, 0},
	} {
		q := reading(t)
		b := &block{queue: q, next: at}
		if err := q.take(b, &c.result); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b.next != at+c.next || (b.moved != nil) != c.moved || len(b.messages) != c.messages {
			t.Errorf("%s: on at %d, moved %v, %d messages", name, b.next-at, b.moved, len(b.messages))
		}
	}
}

// The replica that a broker suggests is asked next, and after a failure the master again.
func TestSuggestedReplica(t *testing.T) {
	t.Parallel()
	q := reading(t)
	q.answered(0, &protocol.PullResult{Status: protocol.PullNotFound, SuggestBrokerID: 1}, nil)
	if q.node != 1 {
		t.Errorf("node %d", q.node)
	}
	q.failed(t.Context(), newLoop(q.r), &protocol.Error{Code: protocol.CodeSystemBusy})
	if q.node != protocol.MasterID {
		t.Errorf("after a failure node %d", q.node)
	}
}
