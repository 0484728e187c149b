package consumer

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/engine"
)

func TestBatchDefaults(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		batch Batching
		want  engine.Topic
	}{
		"zero": {Batching{Handler: nothingMuch}, engine.Topic{Workers: 16, MaxWorkers: 16, Timeout: time.Minute, BatchSize: 100}},
		"given": {Batching{Handler: nothingMuch, Size: 10_000, Wait: time.Hour},
			engine.Topic{Workers: 16, MaxWorkers: 16, Timeout: time.Minute, BatchSize: 10_000, BatchWait: time.Hour}},
	} {
		got, err := one("orders", Topic{Batch: test.batch}).engineConfig(red(t))
		if err != nil {
			t.Fatal(err)
		}
		topic := got.Topics["orders"]
		if topic.HandleBatch == nil {
			t.Errorf("%s: no handler", name)
		}
		topic.HandleBatch = nil
		if !reflect.DeepEqual(topic, test.want) {
			t.Errorf("%s: %+v, want %+v", name, topic, test.want)
		}
	}
}

// TestBatchMiddlewareOrder: the first is the outermost, and Middleware is not asked.
func TestBatchMiddlewareOrder(t *testing.T) {
	t.Parallel()
	var order []string
	mark := func(name string) BatchMiddleware {
		return func(next BatchHandler) BatchHandler {
			return func(ctx context.Context, b *Batch) error {
				order = append(order, name)
				return next(ctx, b)
			}
		}
	}
	cfg := one("orders", Topic{Batch: Batching{Handler: func(context.Context, *Batch) error { order = append(order, "handler"); return nil }}})
	cfg.Middleware = []Middleware{func(h Handler) Handler { order = append(order, "wrong"); return h }}
	cfg.BatchMiddleware = []BatchMiddleware{mark("a"), mark("b")}
	got, err := cfg.engineConfig(red(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Topics["orders"].HandleBatch(t.Context(), nil, nil); err != nil || strings.Join(order, " ") != "a b handler" {
		t.Errorf("%v, %v", order, err)
	}
}

// TestMiddlewareForMessagesAlone: an empty BatchMiddleware says that batches need none.
func TestMiddlewareForMessagesAlone(t *testing.T) {
	t.Parallel()
	cfg := one("orders", Topic{Batch: Batching{Handler: nothingMuch}})
	cfg.Middleware = []Middleware{func(h Handler) Handler { return h }}
	cfg.BatchMiddleware = []BatchMiddleware{}
	if _, err := cfg.engineConfig(red(t)); err != nil {
		t.Error(err)
	}
}
