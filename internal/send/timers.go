package send

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// errNoTimers is a broker's that would deliver a timed message at once.
var errNoTimers = errors.New("brokers deliver at a time since RocketMQ 5.0 only, older ones would deliver at once: use DelayLevel there")

// versions remembers which version the brokers run that timed messages were for. What is known holds for a connection:
// the next may lead to another version. The zero value is ready. Safe for concurrent use.
type versions struct {
	mu    sync.Mutex
	known map[string]version // by address
}

type version struct {
	ordinal   int32
	connected time.Time // when the connection was made
}

func (v *versions) at(address string, connected time.Time) (ordinal int32, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	one, ok := v.known[address]
	return one.ordinal, ok && one.connected.Equal(connected)
}

func (v *versions) learn(address string, ordinal int32, connected time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known == nil {
		v.known = map[string]version{}
	}
	v.known[address] = version{ordinal, connected}
}

// checkTimers returns an error unless the broker has timers. Every answer bears its server's version, whatever it says, so
// that the first timed message on a connection asks for something harmless before.
func (s *Sender) checkTimers(ctx context.Context, q protocol.Queue, address string) error {
	since, connected := s.view.Since(address)
	ordinal, known := s.versions.at(address, since)
	if !connected || !known {
		answer, err := s.view.Call(ctx, address, protocol.MaxOffset{Topic: q.Topic, QueueID: q.ID}.Frame())
		if err != nil {
			return err
		}
		ordinal = answer.Version
		if since, connected = s.view.Since(address); connected {
			s.versions.learn(address, ordinal, since)
		}
	}
	if ordinal < protocol.Version5 {
		return fmt.Errorf("broker %s runs %s: %w", q.Broker, protocol.VersionName(ordinal), errNoTimers)
	}
	return nil
}

// deliveredEarly is the error of a timed message that a broker without timers has stored: it was exchanged between the
// look at its version and the send.
func deliveredEarly(q protocol.Queue, ordinal int32) error {
	return fmt.Errorf("broker %s, exchanged for one of %s meanwhile, stored the message and delivers it at once: %w",
		q.Broker, protocol.VersionName(ordinal), errDelivered)
}

var errDelivered = errors.New("sending it again would deliver it twice")
