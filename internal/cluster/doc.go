// Package cluster is what everything a process does with RocketMQ shares: one set of sockets, one table of routes and
// one heartbeat. A [Cluster] is made once per process; a [View] is one tenant's sight of it.
package cluster
