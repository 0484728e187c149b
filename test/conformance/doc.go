// Package conformance holds the behaviors that rocketkit promises, one named test each. Each runs on mqtest and, where it
// may, on a real RocketMQ: a difference between the two is a failing test. Some have Apache's clients beside rocketkit.
package conformance
