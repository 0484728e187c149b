// Package frame reads and writes the frames of RocketMQ's remoting protocol.
//
// A frame on the wire is
//
//	int32 length of what follows | int32 codec<<24 + header length | header | body
//
// with big-endian numbers. Codec 0 is a JSON header, codec 1 is RocketMQ's
// binary one (RocketMQSerializable). Append writes codec 0, which every server
// since 3.0 understands; Read takes both, since a server may be configured to
// start its own requests in codec 1 (rocketmq.serialize.type).
//
// The package knows neither sockets nor the meaning of a request.
package frame
