// Package rocketkit is a Go SDK for services that live on Apache RocketMQ: it sends and consumes through worker pools
// per topic, and runs the same service for another tenant of the cluster by changing one variable.
//
// A process opens one [Client] and builds its producers and consumers on it:
//
//	cfg, err := rocketkit.FromEnv(os.LookupEnv)
//	client, err := rocketkit.Open(cfg)
//	defer client.Close(ctx)
//
// The Client holds the sockets, the routes and the heartbeat, and serves any number of tenants ([Client.For]),
// producers (package producer), consumers (package consumer), readers without a group (package reader) and administrators
// (package admin). [Run] runs what has a Run method until its context ends or one of them fails.
//
// Names that a service uses are logical: "orders" is "red%orders" on the broker when the tenant is "red", and no
// message, error or log line shows the prefix.
package rocketkit
