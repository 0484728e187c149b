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
}

// follow watches where the file is now. Directories are watched and not the file itself: one that is replaced, which is how
// most are changed, takes its watch with it.
func (n *notices) follow(path string) {
	if n.watcher == nil {
		watcher, err := n.open()
		if err != nil {
			return
		}
		n.watcher = watcher
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

// wait returns when the file is to be looked at again: apart from now at the soonest when something has changed, else in next, and
// when ctx ends. What comes meanwhile is taken: the system keeps only so much for those who are slow.
func (n *notices) wait(ctx context.Context, apart, next time.Duration) {
	soonest, latest := time.NewTimer(apart), time.NewTimer(next)
	defer soonest.Stop()
	defer latest.Stop()
	var changed, may bool
	for !changed || !may {
		var events chan fsnotify.Event
		var lost chan error // as a rule that the system had more to say than it could keep
		if n.watcher != nil {
			events, lost = n.watcher.Events, n.watcher.Errors
		}
		var open bool
		select {
		case <-ctx.Done():
			return
		case <-latest.C:
			return
		case <-soonest.C:
			may = true
			continue
		case _, open = <-events:
		case _, open = <-lost:
		}
		changed = true
		if !open { // it couldn't read any more
			n.close()
		}
	}
}

func (n *notices) close() {
	if n.watcher != nil {
		_ = n.watcher.Close() // there is nothing to be lost
		n.watcher = nil
	}
}
