package mqtest

import (
	"errors"
	"time"
)

// errBubble is what a client gets that dials across the border of a testing/synctest bubble, where the runtime would end
// the program with words that don't help.
var errBubble = errors.New("mqtest: the cluster and what dials it aren't in the same testing/synctest bubble: " +
	"make the cluster, its Config and the client inside of the bubble, with the bubble's own T")

// inBubble tells whether the caller is in a bubble: their clocks begin at midnight UTC 2000-01-01.
func inBubble() bool { return time.Now().Year() < 2020 }
