// Package peer runs Apache's clients, in Go and in Java, as processes of their own, to send to and receive from whoever is
// tested: in conformance tests, benchmarks and fault runs. A process is one producer or one consumer. It is driven over
// its standard input and output, in the words of package line, and ends when its driver does, however that ends.
package peer

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// Library is one of Apache's clients.
type Library int

// The libraries.
const (
	ClientGo Library = iota // rocketmq-client-go, as go.mod has it
	Java                    // rocketmq-client of testcluster.DefaultVersion
)

// Libraries returns all of them.
func Libraries() []Library { return []Library{ClientGo, Java} }

// String names the library: "client-go" or "java".
func (l Library) String() string {
	if l == ClientGo {
		return "client-go"
	}
	return "java"
}

//go:embed java/*.java
var java embed.FS

// logback sends the Java client's errors to standard error; otherwise it would write files to the user's home.
//
//go:embed logback.xml
var logback []byte

// build returns the command that runs the library's program, which it builds unless a cache has it.
func (l Library) build(ctx context.Context, jvm []string, log io.Writer) ([]string, error) {
	if l == ClientGo {
		file, err := buildGo(ctx)
		return []string{file}, err
	}
	files, err := fs.Sub(java, "java")
	if err != nil {
		return nil, err
	}
	command, err := testcluster.Compile(ctx, testcluster.Program{Name: "peer", Files: files}, log)
	if err != nil {
		return nil, err
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(logback)
	config := filepath.Join(cache, "logback-"+hex.EncodeToString(digest[:4])+".xml")
	if err := writeOnce(config, logback); err != nil {
		return nil, err
	}
	if jvm == nil {
		jvm = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms32m", "-Xmx256m"}
	}
	command = append(command, jvm...)
	return append(command, "-Duser.home="+cache, "-Drmq.logback.configurationFile="+config, "Peer"), nil
}

// buildGo builds the program of client-go. It is not linked into the tests, as it would run with their race detector,
// which finds races in client-go.
func buildGo(ctx context.Context) (string, error) {
	return Build(ctx, "clientgo", "./test/peer/clientgo")
}

// Build builds a program of this module, without the race detector, and returns its file.
func Build(ctx context.Context, name, pkg string) (string, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(root)) // each working copy has its own
	file := filepath.Join(cache, name+"-"+hex.EncodeToString(digest[:4]))
	unlock, err := testcluster.LockWait(ctx, file+".lock")
	if err != nil {
		return "", fmt.Errorf("peer: wait for another process that builds %s: %w", pkg, err)
	}
	defer unlock()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", file, pkg) // quick when the file is up to date
	cmd.Dir = root
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("peer: go build %s: %w\n%s", pkg, err, said)
	}
	return file, nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("peer: go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("peer: not in rocketkit's module, whose sources client-go's program is built from")
	}
	return filepath.Dir(file), nil
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("peer: no directory to keep programs in: %w", err)
	}
	dir = filepath.Join(dir, "rocketkit", "peer")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("peer: directory to keep programs in: %w", err)
	}
	return dir, nil
}

// writeOnce writes a file that others may write or read at the same time.
func writeOnce(file string, text []byte) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	part, err := os.CreateTemp(filepath.Dir(file), "part-")
	if err != nil {
		return err
	}
	_, err = part.Write(text)
	if err = errors.Join(err, part.Close()); err != nil {
		return errors.Join(err, os.Remove(part.Name()))
	}
	return os.Rename(part.Name(), file)
}
