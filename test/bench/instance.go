package main

import (
	"context"
	"errors"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
)

// instance is one of a service: a Client, and a consumer of each group.
type instance struct {
	client    *rocketkit.Client
	consumers []*consumer.Consumer
	running   errgroup.Group
	end       context.CancelFunc
}

func startInstance(nameServers []string, cache string) (*instance, error) {
	client, err := rocketkit.Open(rocketkit.Config{
		NameServers: nameServers,
		Logger:      slog.New(slog.DiscardHandler),
		Settings:    rocketkit.Settings{CacheDir: cache},
	})
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(context.Background())
	i := &instance{client: client, end: end}
	for g := range settingsGroups {
		c, err := consumer.New(client, consumer.Config{
			Group: groupName(g),
			Topics: map[string]consumer.Topic{settingsTopic: {
				Handler: func(context.Context, *rocketkit.Message) error { return nil },
				Workers: settingsCores,
			}},
		})
		if err != nil {
			return nil, errors.Join(err, i.stop())
		}
		i.consumers = append(i.consumers, c)
		i.running.Go(func() error { return c.Run(ctx) })
	}
	return i, nil
}

// ready waits until all consumers have joined their groups.
func (i *instance) ready(ctx context.Context) error {
	for _, c := range i.consumers {
		select {
		case <-c.Ready():
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// workers tells how many a group's pool has.
func (i *instance) workers(group int) int {
	return i.consumers[group].Stats().Topics[settingsTopic].Workers
}

func (i *instance) stop() error {
	i.end()
	err := i.running.Wait()
	return errors.Join(err, i.client.Close(context.Background()))
}
