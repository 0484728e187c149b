// Package file follows a settings document that is kept in a file: on a machine of one's own, or where Kubernetes mounts
// a ConfigMap.
//
//	c, err := consumer.New(client, consumer.Config{
//		Group:    "billing",
//		Settings: file.New("/etc/billing/settings.json"),
//		…
//
// The file holds the settings alone, {"topics":{"orders":{"workers":16}}}, or a document as name servers have it. Settings
// alone get a revision each time they change, so that older ones can be put back. A document has its own, and counts only
// when that is higher than the last.
//
// The file is read when the system says that something in its directory has changed, and every two seconds besides: for file
// systems that say nothing, and for when the system's watches are used up. It may be replaced, linked to or written in
// place; what is half written is left alone until it is whole or has stayed as it is for a quarter of a second. A file that
// isn't there says nothing: settings that came before stay. To go back to the program's own, write {}.
package file

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/rocketkit/rocketkit/dynconf"
)

// Source is a [dynconf.Source] that reads a file. It is safe for concurrent use; each Watch has a watch of the system's
// (on Linux one instance of inotify) and one of its watches for each directory, two at most.
type Source struct {
	path    string
	times   times
	watcher func() (*fsnotify.Watcher, error)

	mu       sync.Mutex
	wrappers map[dynconf.ID]*wrapper
}

// times are how often and how long; tests have shorter ones.
type times struct {
	every  time.Duration // between two looks when nothing is said to have changed
	apart  time.Duration // at least, between two looks: others write to the directory, too
	settle time.Duration // how long what can't be right has to last before it is told
}

// New makes a Source of the file at path, which needn't be there yet. A relative path is taken from the working directory
// as it is now. Nothing is opened before Watch.
func New(path string) *Source {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	return &Source{
		path:    path,
		times:   times{every: 2 * time.Second, apart: 50 * time.Millisecond, settle: 250 * time.Millisecond},
		watcher: fsnotify.NewWatcher,
	}
}

// String is "file" and the path.
func (s *Source) String() string { return "file " + s.path }

// Watch calls found with the file's document, and again when it has become another one, until ctx ends. See
// [dynconf.Source]. A file that isn't there is an empty text; one that can't be read, is none or is empty is an error.
func (s *Source) Watch(ctx context.Context, id dynconf.ID, found func(text string, err error)) {
	n := notices{open: s.watcher}
	defer n.close()
	r := reports{wrapper: s.wrapper(id), settle: s.times.settle, found: found}
	for ctx.Err() == nil {
		n.follow(s.path) // before the look: what changes after it is noticed
		next := s.times.every
		if r.look(s.path) {
			next = s.times.settle
		}
		n.wait(ctx, s.times.apart, next)
	}
}

// wrapper is the one of id, whose revisions go on from one Watch to the next.
func (s *Source) wrapper(id dynconf.ID) *wrapper {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrappers == nil {
		s.wrappers = map[dynconf.ID]*wrapper{}
	}
	if s.wrappers[id] == nil {
		s.wrappers[id] = &wrapper{id: id}
	}
	return s.wrappers[id]
}

// reports tells of what each look saw, when that is news.
type reports struct {
	*wrapper
	settle time.Duration
	found  func(string, error)

	looked bool
	told   saying // what found was called with last
	doubt  saying // what the last look saw, when that was no document
	since  time.Time
	silent time.Time // since when something was kept back; zero: nothing is
}

// saying is what may be told.
type saying struct {
	is        bool
	text, err string
}

// look reads the file and tells what it says. It is in doubt when it was told nothing because a later look may see more.
func (r *reports) look(path string) (doubt bool) {
	data, modified, err := read(path)
	text, whole := "", false
	if err == nil && data != nil {
		text, whole, err = r.document(data, modified)
	}
	first := !r.looked
	r.looked = true
	if whole {
		r.doubt, r.silent = saying{}, time.Time{}
		r.tell(text, err)
		return false
	}
	now := time.Now()
	if r.silent.IsZero() {
		r.silent = now
	}
	if seen := said(text, err); seen != r.doubt {
		r.doubt, r.since = seen, now
	}
	switch {
	case first && data == nil: // who starts waits for the first word, and nobody is in the middle of writing what can't be read at all
	case now.Sub(r.since) >= r.settle:
	case now.Sub(r.silent) >= 10*r.settle: // it is written all the time
	default:
		return true
	}
	r.silent = time.Time{}
	r.tell(text, err)
	return false
}

func (r *reports) tell(text string, err error) {
	if now := said(text, err); now != r.told {
		r.told = now
		r.found(text, err)
	}
}

func said(text string, err error) saying {
	if err != nil {
		return saying{true, text, err.Error()}
	}
	return saying{true, text, ""}
}
