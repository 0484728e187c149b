package main

import (
	"context"
	"crypto/rand"
	"errors"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/clientgo"
)

// transport makes producers and consumers, each as if in a process of its own: with a client id of its own.
type transport interface {
	Producer(options ...producer.Option) (rocketmq.Producer, error)
	TransactionProducer(listener primitive.TransactionListener, options ...producer.Option) (rocketmq.TransactionProducer, error)
	PushConsumer(options ...consumer.Option) (rocketmq.PushConsumer, error)
	close() error
}

// apache is rocketmq-client-go as it is.
type apache struct{ nameServers []string }

func (a apache) Producer(options ...producer.Option) (rocketmq.Producer, error) {
	return rocketmq.NewProducer(a.producerOptions(options)...)
}

func (a apache) TransactionProducer(listener primitive.TransactionListener, options ...producer.Option) (rocketmq.TransactionProducer, error) {
	return rocketmq.NewTransactionProducer(listener, a.producerOptions(options)...)
}

func (a apache) PushConsumer(options ...consumer.Option) (rocketmq.PushConsumer, error) {
	return rocketmq.NewPushConsumer(append([]consumer.Option{
		consumer.WithNameServer(a.nameServers), consumer.WithInstance(rand.Text()),
	}, options...)...)
}

func (a apache) producerOptions(options []producer.Option) []producer.Option {
	return append([]producer.Option{producer.WithNameServer(a.nameServers), producer.WithInstanceName(rand.Text())}, options...)
}

func (a apache) close() error { return nil }

// bridge is the same on rocketkit. Name servers and the instance's name are the Client's.
type bridge struct {
	cfg     rocketkit.Config
	clients []*rocketkit.Client
}

func (b *bridge) Producer(options ...producer.Option) (rocketmq.Producer, error) {
	client, err := b.open()
	if err != nil {
		return nil, err
	}
	return clientgo.NewProducer(client, options...)
}

func (b *bridge) TransactionProducer(listener primitive.TransactionListener, options ...producer.Option) (rocketmq.TransactionProducer, error) {
	client, err := b.open()
	if err != nil {
		return nil, err
	}
	return clientgo.NewTransactionProducer(client, listener, options...)
}

func (b *bridge) PushConsumer(options ...consumer.Option) (rocketmq.PushConsumer, error) {
	client, err := b.open()
	if err != nil {
		return nil, err
	}
	return clientgo.NewPushConsumer(client, options...)
}

// open opens a Client. A service has one for all its producers and consumers; here each stands for a service.
func (b *bridge) open() (*rocketkit.Client, error) {
	client, err := rocketkit.Open(b.cfg)
	if err == nil {
		b.clients = append(b.clients, client)
	}
	return client, err
}

func (b *bridge) close() error {
	failures := make([]error, 0, len(b.clients))
	for _, client := range b.clients {
		failures = append(failures, client.Close(context.Background()))
	}
	return errors.Join(failures...)
}
