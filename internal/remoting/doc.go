// Package remoting keeps one connection per RocketMQ address and multiplexes
// requests and answers over it, in both directions. It knows no request by
// name; package protocol makes frames of requests.
//
// A connection has a reader, a writer and a goroutine that owns its end. A call
// appends its frame to the writer's buffer and waits on a channel under its
// context; the writer sends whatever has gathered in one write, so many small
// requests cost few system calls. There are no timers per call: the context is
// the only clock.
//
// Nothing here waits for the network while it holds a lock, so a slow or dead
// address delays only its own callers, and everything runs in a
// testing/synctest bubble given connections that do.
package remoting
