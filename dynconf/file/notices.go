package file

import (
	"context"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// notices are what the system says of the directories on the way to the file. Without any, for want of watches or of a file
// system that gives them, the file is still looked at now and then.
type notices struct {
	open    func() (*fsnotify.Watcher, error)
	watcher *fsnotify.Watcher // nil while there is none
	changed chan struct{}     // of capacity 1
	ended   chan struct{}     // closed when the watcher tells nothing any more
}

// follow watches where the file is now. Directories are watched and not the file itself: one that is replaced, which is how
// most are changed, takes its watch with it.
func (n *notices) follow(path string) {
	if n.watcher == nil {
		watcher, err := n.open()
		if err != nil {
			return
		}
		n.watcher, n.changed, n.ended = watcher, make(chan struct{}, 1), make(chan struct{})
		go take(watcher, n.changed, n.ended)
	}
	wanted, watched := directories(path), n.watcher.WatchList()
	for _, dir := range watched {
		if !slices.Contains(wanted, dir) {
			_ = n.watcher.Remove(dir) // it may be gone
		}
	}
	for _, dir := range wanted {
		if !slices.Contains(watched, dir) {
			_ = n.watcher.Add(dir) // tried again at the next look
		}
	}
}

// directories are the file's own and, when it is a link, that of what it leads to: a ConfigMap's file is a link through the
// link ..data, which stands beside it and is what is replaced.
func directories(path string) (dirs []string) {
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		dirs = append(dirs, dir)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil && !slices.Contains(dirs, filepath.Dir(target)) {
		dirs = append(dirs, filepath.Dir(target))
	}
	return dirs
}

// take takes all that a watcher tells, until it is closed. It tells of errors while it holds a lock that asking it for anything
// takes as well, so somebody has to take them meanwhile. What they say is that something may have been missed.
func take(watcher *fsnotify.Watcher, changed chan<- struct{}, ended chan<- struct{}) {
	defer close(ended)
	for {
		var open bool
		select {
		case _, open = <-watcher.Events:
		case _, open = <-watcher.Errors:
		}
		if !open {
			return
		}
		select {
		case changed <- struct{}{}:
		default: // it hasn't been looked at since
		}
	}
}

// wait returns when the file is to be looked at again: apart from now at the soonest when something has changed, else in next, and
// when ctx ends.
func (n *notices) wait(ctx context.Context, apart, next time.Duration) {
	soonest, latest := time.NewTimer(apart), time.NewTimer(next)
	defer soonest.Stop()
	defer latest.Stop()
	select {
	case <-ctx.Done():
		return
	case <-soonest.C:
	}
	select { // without a watcher two of them are nil, and say nothing
	case <-ctx.Done():
	case <-latest.C:
	case <-n.changed:
	case <-n.ended:
		n.close() // another one is made
	}
}

func (n *notices) close() {
	if n.watcher == nil {
		return
	}
	_ = n.watcher.Close() // there is nothing to be lost
	<-n.ended
	n.watcher, n.changed, n.ended = nil, nil, nil
}
