// Package mqtest is a RocketMQ cluster inside of a test: name servers and brokers in this process that speak RocketMQ's
// wire protocol and keep their state in memory.
package mqtest
