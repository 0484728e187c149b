package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/rocketkit/rocketkit/dynconf"
)

// patience bounds a wait for what a Source tells. It is no promise.
const patience = 20 * time.Second

// never is a time that no test lives to see: what happens before then happened because the system said so.
const never = time.Hour

var billing = dynconf.ID{Tenant: "red", Group: "billing"}

// watched is a Source that a test watches.
type watched struct {
	told chan word
	stop func()
}

type word struct {
	text string
	err  error
}

// watch follows a file until the test ends.
func watch(t *testing.T, s *Source, at times) *watched {
	t.Helper()
	s.times = at
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{told: make(chan word, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, billing, func(text string, err error) { w.told <- word{text, err} })
	}()
	w.stop = func() { cancel(); <-ended }
	t.Cleanup(w.stop)
	return w
}

func (w *watched) next(t *testing.T) word {
	t.Helper()
	select {
	case told := <-w.told:
		return told
	case <-time.After(patience):
		t.Fatal("nothing was told")
		return word{}
	}
}

// document waits for the next word, which must be a document with these settings, and gives its revision.
func (w *watched) document(t *testing.T, spec string) int64 {
	t.Helper()
	told := w.next(t)
	d, err := dynconf.Decode(billing, told.text, time.Now())
	if told.err != nil || err != nil || string(d.Spec) != spec {
		t.Fatalf("told %q, %v, which is %s, %v; want %s", told.text, told.err, d.Spec, err, spec)
	}
	return d.Rev
}

// missing waits for the next word, which must be that there is no file.
func (w *watched) missing(t *testing.T) {
	t.Helper()
	if told := w.next(t); told.text != "" || told.err != nil {
		t.Fatalf("told %q, %v; want nothing", told.text, told.err)
	}
}

func workers(n int) string { return fmt.Sprintf(`{"topics":{"orders":{"workers":%d}}}`, n) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// replace is how settings are to be changed: a new file takes the old one's place.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	must(t, os.Rename(path+".new", path))
}

// prompt has a Source look when the system says so and at no other time. What is wrong is told at once.
func prompt() times { return times{every: never, apart: time.Millisecond} }

// patient is prompt, and never tells what is wrong.
func patient() times { return times{every: never, apart: time.Millisecond, settle: never} }

// often has a Source look all the time.
func often() times { return times{every: 5 * time.Millisecond, apart: time.Millisecond} }

func TestSettingsAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	write(t, path, workers(1))
	info, err := os.Stat(path)
	must(t, err)
	s := New(path)
	w := watch(t, s, patient())
	first := w.document(t, workers(1))
	if first != info.ModTime().UnixMilli() {
		t.Errorf("revision %d of a file of %d", first, info.ModTime().UnixMilli())
	}
	replace(t, path, "\n"+strings.ReplaceAll(workers(1), ":", " :\t")) // says the same
	replace(t, path, workers(2))
	second := w.document(t, workers(2))

	// The older file comes back as it was, its time included.
	write(t, path+".old", workers(1))
	must(t, os.Chtimes(path+".old", time.Unix(0, 0), time.Unix(0, 0)))
	must(t, os.Rename(path+".old", path))
	third := w.document(t, workers(1))
	if second <= first || third <= second {
		t.Errorf("revisions %d, %d, %d", first, second, third)
	}

	// And they are the same for who asks next, though not for a new Source.
	w.stop()
	if rev := watch(t, s, patient()).document(t, workers(1)); rev != third {
		t.Errorf("revision %d became %d", third, rev)
	}
	if rev := watch(t, New(path), patient()).document(t, workers(1)); rev != 1 {
		t.Errorf("revision %d of a file from the beginning of time", rev)
	}
}

func TestRevisionsPassThoseOfDocuments(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	write(t, path, workers(1))
	w := watch(t, New(path), patient())
	w.document(t, workers(1))

	ahead := time.Now().Add(time.Hour).UnixMilli()
	text, err := dynconf.Document{Rev: ahead, At: time.Now(), Spec: []byte(workers(2))}.Encode(billing, nil)
	must(t, err)
	replace(t, path, text+"\n")
	if told := w.next(t); told.text != text {
		t.Errorf("told %q, want the document as it is", told.text)
	}
	replace(t, path, workers(1))
	if rev := w.document(t, workers(1)); rev != ahead+1 {
		t.Errorf("revision %d after %d", rev, ahead)
	}

	// One that nobody will take is no measure.
	replace(t, path, strings.Replace(text, fmt.Sprint(ahead), "9000000000000000000", 1))
	w.next(t)
	replace(t, path, workers(3))
	if rev := w.document(t, workers(3)); rev != ahead+2 {
		t.Errorf("revision %d after %d", rev, ahead+1)
	}
}

// Kubernetes mounts settings.json as a link to ..data/settings.json, and ..data as one to a directory that it replaces.
func TestConfigMap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "settings.json")
	swap := func(n int) {
		t.Helper()
		old, _ := os.Readlink(filepath.Join(dir, "..data"))
		stamped := fmt.Sprintf("..2026_11_24_02_00_%02d", n)
		must(t, os.Mkdir(filepath.Join(dir, stamped), 0o700))
		write(t, filepath.Join(dir, stamped, "settings.json"), workers(n))
		must(t, os.Symlink(stamped, filepath.Join(dir, "..data_tmp")))
		must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		if old != "" {
			must(t, os.RemoveAll(filepath.Join(dir, old)))
		}
	}
	swap(1)
	must(t, os.Symlink(filepath.Join("..data", "settings.json"), path))
	w := watch(t, New(path), patient())
	for n := 1; n <= 20; n++ {
		w.document(t, workers(n))
		swap(n + 1)
	}
	w.document(t, workers(21))
}

func TestLinkToElsewhere(t *testing.T) {
	t.Parallel()
	here, there := t.TempDir(), t.TempDir()
	path, target, other := filepath.Join(here, "settings.json"), filepath.Join(there, "one.json"), filepath.Join(t.TempDir(), "two.json")
	write(t, target, workers(1))
	write(t, other, workers(3))
	must(t, os.Symlink(target, path))
	w := watch(t, New(path), patient())
	w.document(t, workers(1))
	replace(t, target, workers(2))
	w.document(t, workers(2))
	must(t, os.Symlink(other, path+".new"))
	must(t, os.Rename(path+".new", path))
	w.document(t, workers(3))
	write(t, other, workers(4))
	w.document(t, workers(4))
}

// However an editor saves, only whole files are told.
func TestEditors(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(t *testing.T, path, text string){
		"replaces it":          replace,
		"truncates and writes": write,
		"moves it out of the way": func(t *testing.T, path, text string) {
			t.Helper()
			must(t, os.Rename(path, path+"~"))
			write(t, path, text)
			must(t, os.Remove(path+"~"))
		},
		"removes it first": func(t *testing.T, path, text string) {
			t.Helper()
			must(t, os.Remove(path))
			write(t, path, text)
		},
		"writes byte by byte": func(t *testing.T, path, text string) {
			t.Helper()
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
			must(t, err)
			defer f.Close()
			for i := range text {
				_, err := f.WriteString(text[i : i+1])
				must(t, err)
				time.Sleep(100 * time.Microsecond) // so that looks fall in between; nothing waits for it
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "settings.json")
			write(t, path, workers(1))
			w := watch(t, New(path), patient())
			w.document(t, workers(1))
			for n := 2; n <= 5; n++ {
				save(t, path, workers(n))
				w.document(t, workers(n))
			}
		})
	}
}

// What stays half written is told as it is, so that whoever decodes it can say so.
func TestHalfWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	write(t, path, workers(0)[:20])
	s := New(path)
	w := watch(t, s, times{every: never, apart: time.Millisecond, settle: 100 * time.Millisecond})
	for n := range 2 {
		began := time.Now()
		write(t, path, workers(n)[:20])
		if told := w.next(t); told.text != workers(n)[:20] || told.err != nil {
			t.Errorf("told %q, %v", told.text, told.err)
		}
		if took := time.Since(began); n > 0 && took < s.times.settle {
			t.Errorf("told after %v", took)
		}
		write(t, path, workers(n)) // which is empty for a moment
		w.document(t, workers(n))
	}
}

// What is never whole, and changes all the time, is told as well.
func TestNeverWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	w := watch(t, New(path), times{every: never, apart: time.Millisecond, settle: 20 * time.Millisecond})
	w.missing(t)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() { // a log that was given for the settings
		f, err := os.Create(path)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		for ctx.Err() == nil {
			if _, err := f.WriteString("."); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(100 * time.Microsecond) // a log isn't written without a break
		}
	})
	if told := w.next(t); told.err == nil && !strings.HasPrefix(told.text, ".") {
		t.Errorf("told %q, %v", told.text, told.err)
	}
	stop()
	writing.Wait()
}

func TestMissing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	w := watch(t, New(path), prompt())
	w.missing(t)
	replace(t, path, workers(1))
	rev := w.document(t, workers(1))
	must(t, os.Remove(path))
	w.missing(t)
	replace(t, path, workers(1))
	if again := w.document(t, workers(1)); again != rev {
		t.Errorf("the same settings are revision %d, and then %d", rev, again)
	}
}

func TestMissingDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etc", "billing")
	path := filepath.Join(dir, "settings.json")
	w := watch(t, New(path), often())
	w.missing(t)
	for n := range 5 {
		must(t, os.MkdirAll(dir, 0o700))
		replace(t, path, workers(2*n))
		w.document(t, workers(2*n))
		must(t, os.Rename(dir, fmt.Sprint(dir, n))) // and what is written there isn't ours any more
		write(t, filepath.Join(fmt.Sprint(dir, n), "settings.json"), workers(99))
		w.missing(t)
		must(t, os.MkdirAll(dir, 0o700))
		replace(t, path, workers(2*n+1))
		w.document(t, workers(2*n+1))
		must(t, os.RemoveAll(dir))
		w.missing(t)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	holds := func(text string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	for name, c := range map[string]struct {
		place func(path string) error
		err   string // a part of it
		text  int    // bytes
	}{
		"a directory":      {func(path string) error { return os.Mkdir(path, 0o700) }, "no regular file", 0},
		"a link to itself": {func(path string) error { return os.Symlink(path, path) }, "too many levels", 0},
		"empty":            {holds(" \n"), "empty", 0},
		"huge":             {holds(workers(1) + strings.Repeat(" ", 20<<20) + "x"), "", dynconf.MaxRead + 1},
		"no object":        {holds("[1]"), "", 3},
		"null":             {holds("null"), "", 4},
		"more settings than a document takes": {
			holds(`{"x":"` + strings.Repeat("y", dynconf.MaxWritten) + `"}`), fmt.Sprint(dynconf.MaxWritten), 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "settings.json")
			must(t, c.place(path))
			w := watch(t, New(path), times{every: 5 * time.Millisecond, apart: time.Millisecond, settle: 10 * time.Millisecond})
			switch told := w.next(t); {
			case c.err == "" && told.err != nil, c.err != "" && (told.err == nil || !strings.Contains(told.err.Error(), c.err)):
				t.Errorf("the error is %v, want one with %q", told.err, c.err)
			case len(told.text) != c.text:
				t.Errorf("told %d bytes, want %d", len(told.text), c.text)
			}
			must(t, os.RemoveAll(path))
			w.missing(t) // and the error wasn't told again and again
			replace(t, path, workers(1))
			w.document(t, workers(1))
		})
	}
}

// A system that has no watches left costs time, not changes.
func TestWithoutWatches(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	s := New(path)
	s.watcher = func() (*fsnotify.Watcher, error) { return nil, errors.New("too many open files") }
	w := watch(t, s, often())
	w.missing(t)
	for n := range 5 {
		replace(t, path, workers(n))
		w.document(t, workers(n))
	}
}

// A watch that has ended is replaced.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "settings.json")
	s := New(path)
	opened := 0
	s.watcher = func() (*fsnotify.Watcher, error) {
		watcher, err := fsnotify.NewWatcher()
		if opened++; err == nil && opened < 3 {
			err = watcher.Close()
		}
		return watcher, err
	}
	w := watch(t, s, patient())
	w.missing(t)
	replace(t, path, workers(1))
	w.document(t, workers(1))
	replace(t, path, workers(2))
	w.document(t, workers(2))
	if w.stop(); opened != 3 {
		t.Errorf("opened %d watches", opened)
	}
}

// Whatever the writers do, all that is told is whole, revisions rise, and the last word is the last file.
func TestBusyDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "settings.json")
	w := watch(t, New(path), patient())
	done := make(chan struct{})
	go func() { // somebody's log
		defer close(done)
		for i := range 2000 {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("log.", i%10)), []byte("x"), 0o600); err != nil {
				t.Error(err)
			}
		}
	}()
	const last = 500
	for n := 1; n <= last; n++ {
		replace(t, path, workers(n))
	}
	<-done
	for rev := int64(0); ; {
		told := w.next(t)
		if told == (word{}) {
			continue // before the first one
		}
		d, err := dynconf.Decode(billing, told.text, time.Now())
		if err != nil || d.Rev <= rev {
			t.Fatalf("told %q after revision %d: %v", told.text, rev, err)
		}
		if rev = d.Rev; string(d.Spec) == workers(last) {
			return
		}
	}
}

func TestNames(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "settings.json", workers(1))
	s := New("settings.json")
	here, err := os.Getwd()
	must(t, err)
	if got, want := s.String(), "file "+filepath.Join(here, "settings.json"); got != want {
		t.Errorf("called %q, want %q", got, want)
	}
	t.Chdir(t.TempDir())
	w := watch(t, s, prompt())
	w.document(t, workers(1))
}

// A Watch whose context has ended tells nothing.
func TestEnded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	New(filepath.Join(t.TempDir(), "settings.json")).Watch(ctx, billing, func(text string, err error) { t.Errorf("told %q, %v", text, err) })
}
