// Package conformance holds the behaviors that rocketkit promises, one named test each, run against a real RocketMQ.
package conformance
