// Package conformance holds the behaviours that rocketkit promises, one named test each, run against a real RocketMQ.
package conformance
