package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	must(t, syscall.Mkfifo(path, 0o600))
	w := watch(t, New(path), prompt())
	if told := w.next(t); told.err == nil || !strings.Contains(told.err.Error(), "no regular file") {
		t.Errorf("told %q, %v", told.text, told.err)
	}
	replace(t, path, workers(1))
	w.document(t, workers(1))
}

// Access is taken away and given back. The Watch has a thread that is nobody's, as the tests may be root's, who reads all.
func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may become nobody")
	}
	const nobody = 65534
	dir, err := os.MkdirTemp("/tmp", "rocketkit-file-") //nolint:usetesting // those of a test are below one that is root's alone
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755)) //nolint:gosec // nobody is to read it
	path := filepath.Join(dir, "settings.json")
	write(t, path, workers(1))

	s := New(path)
	s.times = prompt()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{told: make(chan word, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if err := syscall.Setfsuid(nobody); err != nil {
			t.Error(err)
		}
		s.Watch(ctx, billing, func(text string, err error) { w.told <- word{text, err} })
	}()
	defer func() { cancel(); <-ended }()
	if told := w.next(t); !errors.Is(told.err, fs.ErrPermission) {
		t.Errorf("told %q, %v", told.text, told.err)
	}
	must(t, os.Chown(path, nobody, nobody))
	w.document(t, workers(1))
	must(t, os.Chmod(path, 0))
	if told := w.next(t); !errors.Is(told.err, fs.ErrPermission) {
		t.Errorf("told %q, %v", told.text, told.err)
	}
	must(t, os.Chmod(path, 0o400))
	w.document(t, workers(1))
}

// Neither descriptors nor watches pile up, and none are left. The test isn't parallel: it counts those of the process.
func TestNothingIsLeft(t *testing.T) {
	before := descriptors(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "settings.json")
	w := watch(t, New(path), patient())
	w.missing(t)
	for n := range 20 {
		target := filepath.Join(t.TempDir(), "settings.json")
		write(t, target, workers(n))
		must(t, os.Symlink(target, path+".new"))
		must(t, os.Rename(path+".new", path))
		w.document(t, workers(n))
	}
	// The watch of the last target is set after the last look but one; what is asked for is a bound.
	if inotifies, watches := inotify(t); inotifies != 1 || watches > 2 {
		t.Errorf("%d instances of inotify with %d watches", inotifies, watches)
	}
	w.stop()
	limit := time.Now().Add(patience)
	for descriptors(t) > before && time.Now().Before(limit) { // of tests that have just ended
		time.Sleep(time.Millisecond)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors are open, and %d were", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(open)
}

// inotify counts the process's instances of it, and the watches that these have.
func inotify(t *testing.T) (instances, watches int) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fdinfo")
	must(t, err)
	for _, fd := range open {
		if link, _ := os.Readlink(filepath.Join("/proc/self/fd", fd.Name())); link != "anon_inode:inotify" {
			continue
		}
		info, err := os.ReadFile(filepath.Join("/proc/self/fdinfo", fd.Name()))
		must(t, err)
		instances++
		watches += strings.Count(string(info), "inotify wd:")
	}
	return instances, watches
}
