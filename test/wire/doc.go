// Package wire holds mqtest to the real thing, request by request: each script of bare requests runs on mqtest and on a
// real RocketMQ, and a line in which their answers differ is a failing test. Without a real RocketMQ the scripts run on
// mqtest alone.
package wire
