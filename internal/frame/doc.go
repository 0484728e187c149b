// Package frame reads and writes the frames of RocketMQ's remoting protocol.
//
// A frame on the wire is
//
//	int32 length of what follows | int32 codec<<24 + header length | header | body
//
// with big-endian numbers. Codec 0 is a JSON header, codec 1 is RocketMQ's
// binary one (RocketMQSerializable). Both are written and read: servers read
// either, and write what they are configured to (rocketmq.serialize.type), JSON
// by default, whichever they were asked in.
//
// The package knows neither sockets nor the meaning of a request.
package frame
