package main

import (
	"bytes"
	"strings"
	"sync"
)

// tail keeps the last of what a process logs, for the error that it may have to explain.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 4 << 10

func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	if extra := len(t.text) - tailSize; extra > 0 {
		t.text = t.text[:copy(t.text, t.text[extra:])]
	}
	return len(text), nil
}

// String is empty, or the end of the log on lines of its own.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(bytes.TrimSpace(t.text)) == 0 {
		return ""
	}
	return "\nthe end of what it logged:\n" + strings.TrimRight(string(t.text), "\n")
}
