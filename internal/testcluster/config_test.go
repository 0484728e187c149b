//go:build unix

package testcluster

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		config Config
		want   string
	}{
		{"version", Config{Version: "../5.5.0"}, "version"},
		{"name servers", Config{NameServers: 4}, "NameServers is 4"},
		{"negative brokers", Config{Brokers: -1}, "Brokers is -1"},
		{"too many brokers", Config{Brokers: 5, Replicas: 2}, "at most 14"},
		{"reserved property", Config{BrokerProperties: map[string]string{"listenPort": "1"}}, "listenPort"},
		{"malformed property", Config{BrokerProperties: map[string]string{"a=b": "1"}}, `"a=b"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Start(t.Context(), test.config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
		})
	}
}

func TestVersionFromTheEnvironment(t *testing.T) {
	t.Setenv(VersionVariable, "4.9.7")
	for given, want := range map[string]string{"": "4.9.7", "5.3.3": "5.3.3"} {
		if cfg, err := (Config{Version: given}).filled(); err != nil || cfg.Version != want {
			t.Errorf("%q becomes %q, %v; want %q", given, cfg.Version, err, want)
		}
	}
}

func TestMissingJava(t *testing.T) {
	empty := t.TempDir()
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "java"), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, home, path, want string }{
		{"none", "", empty, "no java in PATH"},
		{"empty home", empty, os.Getenv("PATH"), "JAVA_HOME is " + empty},
		{"that only says there is none", "", broken, "exit status 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("JAVA_HOME", test.home)
			t.Setenv("PATH", test.path)
			_, err := Start(t.Context(), Config{})
			wantNoJava(t, err, test.want)
		})
	}
}

func TestMissingMaven(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err := jars(t.Context(), DefaultVersion, &bytes.Buffer{})
	wantNoJava(t, err, "no mvn in PATH")
}

func wantNoJava(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, ErrNoJava) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "install") {
		t.Errorf("got %v, want ErrNoJava with %q and what to install", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}

// fakeMaven is a mvn that makes empty jars, once it is the only one to run.
const fakeMaven = `#!/bin/sh
for word; do
	case $word in
	-DoutputDirectory=*) lib=${word#*=} ;;
	-Drocketmq.version=*) version=${word#*=} ;;
	esac
done
mkdir "$FAKE_MAVEN" || exit 9
echo '[INFO] Downloaded from central: https://host/a/rocketmq-broker-'$version'.jar (94 kB at 1.2 MB/s)'
test "$version" = 0.0.9 && echo '[ERROR] no such version' && exit 1
for artifact in namesrv broker tools; do : >"$lib/rocketmq-$artifact-$version.jar"; done
rmdir "$FAKE_MAVEN"
`

func TestJarsAreFetchedOnceByAllWhoAsk(t *testing.T) {
	useFakeMaven(t)
	var log bytes.Buffer
	first, err := jars(t.Context(), "0.0.1", &log)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "fetching RocketMQ 0.0.1") || !strings.Contains(log.String(), "  rocketmq-broker-0.0.1.jar, 94 kB\n") {
		t.Errorf("progress %q", log.String())
	}
	if !exists(filepath.Join(first, "rocketmq-tools-0.0.1.jar")) {
		t.Errorf("no jar in %s", first)
	}

	const askers = 4
	failed := make(chan error, askers)
	for range askers {
		go func() {
			dir, err := jars(t.Context(), "0.0.2", &bytes.Buffer{})
			if err == nil && !exists(filepath.Join(dir, "rocketmq-tools-0.0.2.jar")) {
				err = errors.New("an incomplete cache was handed out")
			}
			failed <- err
		}()
	}
	for range askers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}

	t.Setenv("PATH", t.TempDir())
	again, err := jars(t.Context(), "0.0.1", &bytes.Buffer{})
	if err != nil || again != first {
		t.Errorf("without mvn: %s, %v; want %s", again, err, first)
	}
}

func TestFailedFetchLeavesNoHalfCache(t *testing.T) {
	useFakeMaven(t)
	dir, err := jars(t.Context(), "0.0.9", &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "[ERROR] no such version") {
		t.Errorf("got %s, %v", dir, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "rocketkit", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "rocketmq-0.0.9.lock" {
		t.Errorf("left %v, %v; want the lock alone", left, err)
	}
}

func useFakeMaven(t *testing.T) {
	t.Helper()
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "mvn"), []byte(fakeMaven), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("FAKE_MAVEN", filepath.Join(t.TempDir(), "running"))
}

func TestWaitForALockEndsWithCtx(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := LockWait(ctx, file); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	unlock()
	again, err := LockWait(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestQuoteMakesOneWord(t *testing.T) {
	t.Parallel()
	if got, want := quote("a 'b' $c"), `'a '\''b'\'' $c'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
