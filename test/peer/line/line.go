// Package line is the language between a peer and the program that drives it: one line for each command and each event,
// a verb and after a space its values, written as the query of a URL. Java and Go both come with that encoding, and it
// carries any bytes.
package line

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Commands, on a peer's standard input. Its end ends the peer, like Stop.
const (
	Send  = "send"  // seq and a message: answered by Sent or Failed
	Batch = "batch" // seq and messages, each encoded as the value of an m: answered by Sent or Failed
	Ask   = "ask"   // seq, a message and ttl, in ms: sends it and waits for the reply; answered by Got or Failed
	Flood = "flood" // n messages of a topic, with the bodies prefix-0, prefix-1, ...: answered n times, then by Flooded

	// Measure does the work that "what" names and measures a stretch of it: answered by Mark twice, and by Measured or Failed.
	Measure = "measure"
	Stop    = "stop" // shuts down in order
)

// Events, on its standard output.
const (
	Ready    = "ready"    // started; client is the client id, where the library tells
	Sent     = "sent"     // seq, id, offsetid, broker, queue and offset; body when it was flooded
	Failed   = "failed"   // seq and error
	Flooded  = "flooded"  // all of a flood was answered
	Got      = "got"      // a message, and the verdict on it: ok, retry, panic or dead; with seq, the reply to an Ask
	Queues   = "queues"   // client, and a q for each queue that it owns now: topic, broker and id, divided by slashes
	Count    = "count"    // n messages were received or sent until now: instead of Got and Sent when the peer is quiet
	Mark     = "mark"     // seq: the stretch to be measured begins or ends
	Measured = "measured" // seq, and the figures, whole numbers: package meter knows them
	Stopped  = "stopped"  // shut down; nothing follows
)

// Line is a verb and its values.
type Line struct {
	Verb   string
	Values url.Values
}

// Parse reads a line.
func Parse(text string) (Line, error) {
	verb, query, _ := strings.Cut(text, " ")
	values, err := url.ParseQuery(query)
	if err != nil {
		return Line{}, fmt.Errorf("line %.100q: %w", text, err)
	}
	return Line{verb, values}, nil
}

// String writes the line, without a line feed.
func (l Line) String() string {
	if len(l.Values) == 0 {
		return l.Verb
	}
	return l.Verb + " " + l.Values.Encode()
}

// Get returns a value, or "" where there is none.
func (l Line) Get(name string) string { return l.Values.Get(name) }

// Int returns a number, or 0 where there is none.
func (l Line) Int(name string) int64 {
	n, _ := strconv.ParseInt(l.Get(name), 10, 64)
	return n
}

// New makes a line of names and values that take turns. Empty values are left out.
func New(verb string, namesAndValues ...string) Line {
	l := Line{verb, url.Values{}}
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			l.Values.Add(namesAndValues[i], namesAndValues[i+1])
		}
	}
	return l
}
