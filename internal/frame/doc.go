// Package frame reads and writes the frames of RocketMQ's remoting protocol.
package frame
