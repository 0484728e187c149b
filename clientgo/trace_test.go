package clientgo_test

import (
	"context"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit/clientgo"
)

// WithTrace is what a service may call an option of its own, made of others.
func WithTrace() producer.Option {
	return producer.WithInterceptor(func(ctx context.Context, req, reply any, next primitive.Invoker) error { return next(ctx, req, reply) })
}

// An option isn't taken for client-go's WithTrace for the name of who called it.
func TestOwnWithTrace(t *testing.T) {
	t.Parallel()
	_, client := cluster(t)
	p, err := clientgo.NewProducer(client, WithTrace())
	if err != nil {
		t.Fatal(err)
	}
	shutdown(t, p)
}
