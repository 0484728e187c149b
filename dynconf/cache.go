package dynconf

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// cache keeps the last good document of one group on disk, for a start while its source can't be read. Processes may
// share it. The file is the encoded document, whose checksum tells whether it is whole.
type cache struct {
	dir, path string
	kept      string // what this process has read or written last
	told      bool   // that it can't be written
	read      func(path string) (string, error)
}

// cacheWait is how long a start waits for the disk, which may be another machine's and hang.
const cacheWait = startWait / 2

// newCache makes one for the documents of a source. Its name tells clusters apart: an operator's machine may know several.
func newCache(dir, origin string, id ID) *cache {
	sum := sha256.Sum256([]byte(origin + "\n" + id.Key()))
	name := strings.ReplaceAll(id.Key(), "%", ".")
	return &cache{dir: dir, path: filepath.Join(dir, name[:min(len(name), 100)]+"-"+hex.EncodeToString(sum[:8])+".json"), read: readCache}
}

// load reads it; empty without an error where there is none.
func (c *cache) load() (string, error) { return c.read(c.path) }

// loadSoon is load that gives up when ctx ends; what reads then is left behind, as a disk that hangs can't be interrupted.
func (c *cache) loadSoon(ctx context.Context) (text string, err error) {
	read := make(chan struct{})
	var late struct {
		text string
		err  error
	}
	go func() {
		defer close(read)
		late.text, late.err = c.load()
	}()
	select {
	case <-read:
		return late.text, late.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func readCache(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() { // to open a pipe may take forever
		return "", fmt.Errorf("%s is no file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, MaxRead+1))
	return string(text), err
}

// store replaces it whole: who reads it finds the old document or the new one. It isn't forced to the disk, since after a power
// cut the checksum tells.
func (c *cache) store(text string) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(c.dir, filepath.Base(c.path)+".*") // for its owner alone
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), c.path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// restore puts the cache's document into force. One that can't be used is as none. A disk that hangs isn't used again.
func (f *Follower) restore(ctx context.Context) {
	if f.cache == nil {
		return
	}
	f.work.Lock()
	defer f.work.Unlock()
	soon, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	text, err := f.cache.loadSoon(soon)
	now := time.Now()
	if err != nil && soon.Err() != nil {
		if ctx.Err() == nil {
			f.cfg.Logger.Warn("the last settings can't be had from the cache, nor kept there: the disk doesn't answer", "file", f.cache.path)
			f.cache = nil
		}
		return
	}
	if err == nil && text != "" {
		_, err = Decode(f.cfg.ID, text, now, f.cfg.Keys...)
	}
	if err != nil {
		f.cfg.Logger.Warn("the last settings can't be had from the cache", "file", f.cache.path, "error", err)
		return
	}
	if text == "" {
		return
	}
	f.cache.kept = text
	f.heard = hearing{texts: []string{text}}
	f.judge(now)
	f.accept(now, "cache")
	f.fail(f.failing(), now)
}

// keep writes the document that counts to the cache, unless another process has written a newer one.
func (f *Follower) keep(text string) {
	if f.cache == nil || f.cache.kept == text {
		return
	}
	if there, err := f.cache.load(); err == nil && there != "" {
		if d, err := Decode(f.cfg.ID, there, time.Now(), f.cfg.Keys...); err == nil && d.Newer(f.current) {
			return
		}
	}
	err := f.cache.store(text)
	if err == nil {
		f.cache.kept, f.cache.told = text, false
		return
	}
	if !f.cache.told {
		f.cfg.Logger.Warn("the last settings can't be kept in the cache: a start while no name server can be reached is without them",
			"file", f.cache.path, "error", err)
	}
	f.cache.told = true
}
