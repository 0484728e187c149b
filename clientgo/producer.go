package clientgo

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	rocketkitproducer "github.com/rocketkit/rocketkit/producer"
)

// NewProducer makes a rocketmq.Producer that works on rocketkit, from client-go's own options. One that can't be carried
// over gives an error that names it and wraps [rocketkit.ErrConfig]; docs/migrating.md lists them all. It sends nothing.
//
// Messages aren't changed by sending them: the id is in the result. One that has the property UNIQ_KEY, as a forwarded one
// may, keeps that id. All methods are safe for concurrent use.
func NewProducer(client *rocketkit.Client, options ...producer.Option) (rocketmq.Producer, error) {
	p, err := newSender(client, options, rocketkitproducer.Config{})
	if err != nil {
		return nil, err
	}
	return withRequestAsync(rocketmq.Producer.RequestAsync, p), nil
}

// requesting is a sender with the method RequestAsync, whose signature has a type that only client-go can name.
type requesting[C ~func(context.Context, *primitive.Message, error)] struct{ *sender }

// withRequestAsync makes a Producer; from the method it takes the type.
func withRequestAsync[C ~func(context.Context, *primitive.Message, error)](
	_ func(rocketmq.Producer, context.Context, time.Duration, C, *primitive.Message) error, s *sender,
) requesting[C] {
	return requesting[C]{s}
}

// RequestAsync is Request on a goroutine of its own, which Shutdown waits for. The callback is called once.
func (r requesting[C]) RequestAsync(ctx context.Context, ttl time.Duration, callback C, m *primitive.Message) error {
	return r.requestAsync(ctx, ttl, callback, m)
}

// newSender makes what producers of both kinds share.
func newSender(client *rocketkit.Client, options []producer.Option, cfg rocketkitproducer.Config) (*sender, error) {
	settings, err := readProducer(options)
	if err != nil {
		return nil, err
	}
	if client, err = tenantOf(client, settings.namespace, "producer.WithNamespace"); err != nil {
		return nil, err
	}
	if _, err := client.Cluster().Names.Group(settings.group); err != nil {
		return nil, configError("producer.WithGroupName: %v", err)
	}
	cfg.Group = settings.group
	cfg.Compression = rocketkitproducer.Compression{Algorithm: rocketkitproducer.Zlib, Threshold: settings.compressFrom}
	p, err := rocketkitproducer.New(client, cfg)
	if err != nil {
		return nil, fmt.Errorf("clientgo: %w", err)
	}
	return &sender{client: client, settings: settings, producer: p, room: make(chan struct{}, ownGoroutines)}, nil
}

// sender sends client-go's messages.
type sender struct {
	client   *rocketkit.Client
	settings producerSettings
	producer *rocketkitproducer.Producer
	room     chan struct{} // for sends on goroutines of their own

	mu      sync.Mutex
	running bool
	shut    bool
	asking  sync.WaitGroup // requests and sends on goroutines of their own, with their callbacks
	calling sync.WaitGroup // messages that the producer sends asynchronously, with their callbacks
}

// Start has the producer send. Brokers are connected by the first message.
func (s *sender) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return fmt.Errorf("clientgo: producer group %s: start: it was shut down: %w", s.settings.group, rocketkit.ErrClosed)
	}
	s.running = true
	return nil
}

// Shutdown refuses new sends, waits for those under way as long as they may take, and for callbacks, and takes the producer
// off the brokers' lists.
func (s *sender) Shutdown() error {
	s.mu.Lock()
	s.running, s.shut = false, true
	s.mu.Unlock()
	s.asking.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), s.within()+time.Second)
	defer cancel()
	err := s.producer.Close(ctx)
	s.calling.Wait()
	if err != nil {
		return fmt.Errorf("clientgo: producer group %s: shutdown: %w", s.settings.group, err)
	}
	return nil
}

// within is how long a message may take: what client-go's attempts would take together.
func (s *sender) within() time.Duration {
	if most := time.Duration(math.MaxInt64); s.settings.timeout > most/time.Duration(s.settings.attempts)/2 {
		return most / 2 // for ever; a second more mustn't overflow
	}
	return time.Duration(s.settings.attempts) * s.settings.timeout
}

// check refuses what client-go refuses, with its errors.
func (s *sender) check(messages []*primitive.Message) error {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	return s.checkRunning(messages, running)
}

func (s *sender) checkRunning(messages []*primitive.Message, running bool) error {
	if !running {
		return clienterrors.ErrNotRunning
	}
	if len(messages) == 0 {
		return clienterrors.ErrMessageEmpty
	}
	for i, m := range messages {
		switch {
		case m == nil:
			return fmt.Errorf("clientgo: message %d is nil: %w", i, clienterrors.ErrMessageEmpty)
		case m.Topic == "":
			return clienterrors.ErrTopicEmpty
		case m.Topic != messages[0].Topic:
			return clienterrors.ErrMultipleTopics
		}
	}
	return nil
}
