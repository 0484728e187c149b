package testcluster

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Program is Java source that is to run against a RocketMQ version's jars.
type Program struct {
	Name    string // of its directory in the cache
	Files   fs.FS  // *.java in its root; nothing else counts
	Version string // of RocketMQ; "" means DefaultVersion, whatever version the cluster has
}

// Compile returns the command that runs the program, up to where flags of the JVM
// and then the main class follow. The jars are fetched and the sources compiled,
// for Java 11, unless the cache has both. Where Java, its compiler or Maven is
// missing the error wraps ErrNoJava. Log receives progress; nil discards it.
func Compile(ctx context.Context, p Program, log io.Writer) ([]string, error) {
	p.Version = cmp.Or(p.Version, DefaultVersion)
	if log == nil {
		log = io.Discard
	}
	java, err := findJava(ctx)
	if err != nil {
		return nil, err
	}
	lib, err := jars(ctx, p.Version, log)
	if err != nil {
		return nil, err
	}
	sources, err := p.sources()
	if err != nil {
		return nil, fmt.Errorf("testcluster: %s's sources: %w", p.Name, err)
	}
	digest := sha256.New()
	for _, s := range sources {
		fmt.Fprintf(digest, "%s %d\n%s", s.name, len(s.text), s.text)
	}
	// Beside the jars' directory, which is lib's: what a version was compiled against stays with it.
	dir := lib + "-" + p.Name + "-" + hex.EncodeToString(digest.Sum(nil))[:16]
	command := []string{java, "-cp", dir + string(filepath.ListSeparator) + filepath.Join(lib, "*")}
	if exists(dir) {
		return command, nil
	}
	unlock, err := LockWait(ctx, lib+".lock")
	if err != nil {
		return nil, fmt.Errorf("testcluster: wait for another process that compiles %s: %w", p.Name, err)
	}
	defer unlock()
	if exists(dir) {
		return command, nil
	}
	if err := compile(ctx, java, lib, sources, dir); err != nil {
		return nil, fmt.Errorf("testcluster: compile %s: %w", p.Name, err)
	}
	return command, nil
}

type source struct {
	name string
	text []byte
}

func (p Program) sources() ([]source, error) {
	names, err := fs.Glob(p.Files, "*.java")
	if err != nil {
		return nil, err
	}
	var all []source
	for _, name := range names {
		text, err := fs.ReadFile(p.Files, name)
		if err != nil {
			return nil, err
		}
		all = append(all, source{name, text})
	}
	return all, nil
}

// compile runs javac in a directory beside the target, which it then renames.
func compile(ctx context.Context, java, lib string, sources []source, target string) error {
	javac, err := findCompiler(java)
	if err != nil {
		return err
	}
	work := target + ".part" // alone ours: the caller holds the lock
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := os.Mkdir(work, 0o755); err != nil {
		return err
	}
	classes := filepath.Join(work, "classes")
	args := []string{"--release", "11", "-encoding", "UTF-8", "-cp", filepath.Join(lib, "*"), "-d", classes}
	for _, s := range sources {
		file := filepath.Join(work, s.name)
		if err := os.WriteFile(file, s.text, 0o644); err != nil {
			return err
		}
		args = append(args, file)
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, javac, args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w\n%s", javac, err, &said)
	}
	return os.Rename(classes, target)
}

// findCompiler returns the javac of the JDK that a java belongs to.
func findCompiler(java string) (string, error) {
	if home, err := filepath.EvalSymlinks(java); err == nil {
		if javac := filepath.Join(filepath.Dir(home), "javac"); exists(javac) {
			return javac, nil
		}
	}
	javac, err := exec.LookPath("javac")
	if err != nil {
		return "", fmt.Errorf("%w: %s has no javac beside it, nor has PATH one; install a JDK, 17 or newer, rather than a JRE (Debian: openjdk-17-jdk-headless)", ErrNoJava, java)
	}
	return javac, nil
}
