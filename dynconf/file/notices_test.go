package file

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A directory that is moved and removed at once has fsnotify tell of an error, its watch being gone already, while it holds a lock
// that asking it for anything takes as well.
func TestErrorsAreTakenMeanwhile(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "billing")
	path := filepath.Join(dir, "settings.json")
	n := notices{open: fsnotify.NewWatcher}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer n.close()
		for range 500 {
			made := os.Mkdir(dir, 0o700)
			n.follow(path)
			if err := errors.Join(made, os.Rename(dir, dir+".old"), os.Remove(dir+".old")); err != nil {
				t.Error(err)
				return
			}
			n.follow(path)
			n.wait(t.Context(), 0, 0)
		}
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it hangs")
	}
}
