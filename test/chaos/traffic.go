//go:build unix

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/producer"
	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

const (
	sendTimeout = 10 * time.Second // of one Send, which tries again by itself until then
	sendGrace   = 30 * time.Second // for sends that are under way when the traffic ends
)

// traffic is a steady stream of numbered messages. Those of a key are sent one after the other, each until the broker has
// answered well: so that they are stored in order, whatever happens.
type traffic struct {
	producer *producer.Producer
	ledger   *ledger.Ledger
	topic    string
	settings settings
	rate     int

	stop    chan struct{}
	cancel  context.CancelFunc
	senders sync.WaitGroup

	mu     sync.Mutex
	failed int // sends that have failed, and were tried again
	first  error
}

// failures returns how many sends have failed, and why the first did.
func (t *traffic) failures() (n int, first error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed, t.first
}

// begin starts the stream.
func (t *traffic) begin(ctx context.Context) {
	ctx, t.cancel = context.WithCancel(ctx)
	t.stop = make(chan struct{})
	period := time.Duration(t.settings.Keys) * time.Second / time.Duration(t.rate)
	for key := range t.settings.Keys {
		t.senders.Go(func() {
			next := time.Now().Add(period * time.Duration(key) / time.Duration(t.settings.Keys))
			for number := key; ; number += t.settings.Keys {
				select {
				case <-t.stop:
					return
				case <-ctx.Done():
					return
				case <-time.After(time.Until(next)):
				}
				if !t.send(ctx, number) {
					return
				}
				if next = next.Add(period); time.Until(next) < -period {
					next = time.Now() // the broker was away: what wasn't sent then isn't made up for
				}
			}
		})
	}
}

// end ends the stream; sends under way may take a while to be answered. It may be called again.
func (t *traffic) end() {
	select {
	case <-t.stop:
	default:
		close(t.stop)
	}
	giveUp := time.AfterFunc(sendGrace, t.cancel)
	t.senders.Wait()
	giveUp.Stop()
	t.cancel()
}

// send sends a message until it is acknowledged.
func (t *traffic) send(ctx context.Context, number int) bool {
	body := fmt.Sprintf("%d ", number)
	message := producer.Message{
		Topic: t.topic, ShardingKey: fmt.Sprintf("key-%d", number%t.settings.Keys),
		Body: []byte(body + strings.Repeat("x", max(0, t.settings.Size-len(body)))),
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, sendTimeout)
		receipt, err := t.producer.Send(attempt, message)
		cancel()
		if err == nil {
			place := ledger.Place{Broker: receipt.Queue.Broker, Queue: receipt.Queue.ID, Offset: receipt.Offset}
			t.ledger.Sent(ledger.Sent{Number: number, Place: place, At: time.Now()})
			return true
		}
		t.mu.Lock()
		if t.failed++; t.first == nil {
			t.first = err
		}
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}
