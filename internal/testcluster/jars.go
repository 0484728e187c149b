package testcluster

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

//go:embed pom.xml
var pom []byte

// jars returns the directory that holds a version's jars, fetched by Maven
// unless they are in the cache. Processes that ask at once wait for one fetch,
// and a fetch becomes visible whole, by a rename.
func jars(ctx context.Context, version string, log io.Writer) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("testcluster: no directory to keep RocketMQ's jars in: %w", err)
	}
	cache = filepath.Join(cache, "rocketkit")
	dir := filepath.Join(cache, "rocketmq-"+version)
	if exists(dir) {
		return dir, nil
	}
	mvn, err := findMaven(version)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("testcluster: cache of RocketMQ's jars: %w", err)
	}
	unlock, err := LockWait(ctx, dir+".lock")
	if err != nil {
		return "", fmt.Errorf("testcluster: wait for another process that fetches RocketMQ %s: %w", version, err)
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	if err := fetch(ctx, mvn, version, dir, log); err != nil {
		return "", fmt.Errorf("testcluster: fetch RocketMQ %s's jars: %w", version, err)
	}
	return dir, nil
}

// ErrLocked is wrapped by Lock's error where another process holds the lock.
var ErrLocked = errors.New("locked by another process")

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

// LockWait takes the lock on a file that all processes of one user share, as Lock
// does, waiting for it until ctx ends.
func LockWait(ctx context.Context, file string) (unlock func(), err error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		unlock, err := Lock(file)
		if !errors.Is(err, ErrLocked) {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// fetch runs Maven in a directory beside the target, which it then renames.
func fetch(ctx context.Context, mvn, version, target string, log io.Writer) error {
	work := target + ".part" // alone ours: the caller holds the lock
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	lib := filepath.Join(work, "lib")
	if err := os.MkdirAll(lib, 0o755); err != nil {
		return err
	}
	file := filepath.Join(work, "pom.xml")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	fmt.Fprintf(log, "testcluster: fetching RocketMQ %s's jars (once, up to 100 MB) into %s\n", version, target)
	cmd := exec.CommandContext(ctx, mvn, "-B", "-f", file, "-Drocketmq.version="+version,
		"-DincludeScope=runtime", "-DoutputDirectory="+lib, "dependency:copy-dependencies")
	cmd.WaitDelay = 5 * time.Second
	cmd.Dir = work
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	said := relay(out, log)
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s", mvn, err, said)
	}
	for _, artifact := range []string{"namesrv", "broker", "tools"} {
		if !exists(filepath.Join(lib, "rocketmq-"+artifact+"-"+version+".jar")) {
			return fmt.Errorf("%s reported success without rocketmq-%s's jar\n%s", mvn, artifact, said)
		}
	}
	return os.Rename(lib, target)
}

// relay tells log of each jar that Maven downloaded, and returns the end of all
// that it said.
func relay(out io.Reader, log io.Writer) string {
	var last []string
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		last = append(last[max(0, len(last)-29):], line)
		// [INFO] Downloaded from central: https://…/x-1.0.jar (94 kB at 1.2 MB/s)
		_, url, downloaded := strings.Cut(line, "Downloaded from ")
		if url, size, ok := strings.Cut(url, " ("); downloaded && ok && strings.HasSuffix(url, ".jar") {
			size, _, _ = strings.Cut(size, " at ")
			fmt.Fprintf(log, "  %s, %s\n", path.Base(url), size)
		}
	}
	return strings.Join(last, "\n")
}
