package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rocketkit/rocketkit/dynconf"
)

// read gives what the file holds, or as much as shows that it is too much; nil when there is no file.
func read(path string) (data []byte, modified time.Time, err error) {
	// To open a pipe would wait for somebody to write to it.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, time.Time{}, nil
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return nil, time.Time{}, fmt.Errorf("%s is no regular file but %v", path, info.Mode())
	}
	data, err = io.ReadAll(io.LimitReader(f, dynconf.MaxRead+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	return data, info.ModTime(), nil
}

// wrapper makes documents of settings that stand alone, for one ID.
type wrapper struct {
	id dynconf.ID

	mu            sync.Mutex // groups are watched once as a rule, but one after the other when they are started again
	last          int64      // the highest revision so far
	spec, wrapped string     // the settings that were wrapped last, and their document
	rev           int64
}

// document gives the document of a file's content. What isn't whole can't be one, and may become one as more is written; if it
// doesn't, whoever decodes it says what is wrong.
func (w *wrapper) document(data []byte, modified time.Time) (text string, whole bool, err error) {
	if len(data) > dynconf.MaxRead {
		return string(data), false, nil
	}
	data = bytes.TrimSpace(data)
	if len(data) == 0 {
		return "", false, errors.New("the file is empty; to go back to the program's own settings, write {}")
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return string(data), false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, encoded := fields["s"]; encoded {
		var rev int64
		if json.Unmarshal(fields["rev"], &rev) == nil && rev <= time.Now().Add(dynconf.MaxAhead).UnixMilli() {
			w.last = max(w.last, rev)
		}
		return string(data), true, nil
	}
	text, err = w.wrap(data, modified)
	return text, true, err
}

// wrap makes a document of settings. The same ones have the same document, as long as no other came between. Its revision is
// the file's time, so that it is the same after a restart, unless that isn't above the last one: an older file can be put back.
func (w *wrapper) wrap(data []byte, modified time.Time) (string, error) {
	var spec bytes.Buffer
	if err := json.Compact(&spec, data); err != nil {
		return "", err
	}
	if spec.String() == w.spec && w.rev == w.last {
		return w.wrapped, nil
	}
	now := time.Now()
	if modified.After(now) {
		modified = now
	}
	d := dynconf.Document{Rev: max(w.last+1, modified.UnixMilli()), At: modified, Spec: spec.Bytes()}
	text, err := d.Encode(w.id, nil)
	if err != nil {
		return "", err // it is too large
	}
	w.last, w.rev, w.spec, w.wrapped = d.Rev, d.Rev, spec.String(), text
	return text, nil
}
