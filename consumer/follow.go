package consumer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/dynconf"
)

// SettingsStats is which settings document holds, and what of it means nothing here.
type SettingsStats struct {
	dynconf.Status // all zero while none was found, and for a Consumer that follows none

	// Unknown are the paths of keys that this release doesn't know, and of topics that the Consumer doesn't receive: they
	// change nothing.
	Unknown []string

	// Unapplied are the paths of settings that are valid, and that this release doesn't apply yet.
	Unapplied []string
}

// newFollower makes what follows the group's settings document; nil where none is to be followed.
func newFollower(client *rocketkit.Client, cfg Config, live *live) *dynconf.Follower {
	settings, source := client.Settings(), cfg.Settings
	if source == nil {
		if settings.Off {
			return nil
		}
		source = dynconf.NameServers(client.Cluster())
	}
	return dynconf.NewFollower(dynconf.Config{
		ID:       dynconf.ID{Tenant: client.Tenant(), Group: cfg.Group},
		Source:   source,
		Keys:     settings.Keys,
		CacheDir: settings.CacheDir,
		Logger:   client.Cluster().Log(),
		Apply:    live.apply,
	})
}

// follow puts the document's settings into force and follows it, until stop is called, which waits for that.
func (c *Consumer) follow(ctx context.Context) (stop func()) {
	if c.follower == nil {
		return func() {}
	}
	c.follower.Start(ctx)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // a drain, too
	var following sync.WaitGroup
	following.Go(func() { c.follower.Run(ctx) })
	return func() {
		cancel()
		following.Wait()
	}
}

func (c *Consumer) settings() (s SettingsStats) {
	if c.follower == nil {
		return s
	}
	s.Status = c.follower.Status()
	c.live.mu.Lock()
	defer c.live.mu.Unlock()
	s.Unknown, s.Unapplied = c.live.unknown, c.live.unapplied
	return s
}

// properties is what the running info says of the settings, in key=value pairs that package admin reads.
func (c *Consumer) properties() map[string]string {
	if c.follower == nil {
		return nil
	}
	s := c.settings()
	properties := map[string]string{"settings": "rev=0"}
	if s.Rev != 0 {
		pairs := fmt.Sprintf("rev=%d at=%s from=%q by=%q", s.Rev, stamp(s.At), s.From, s.By)
		if !s.Expires.IsZero() {
			pairs += " expires=" + stamp(s.Expires)
		}
		if s.Expired || s.Deleted {
			pairs += fmt.Sprintf(" expired=%t deleted=%t", s.Expired, s.Deleted)
		}
		properties["settings"] = pairs
	}
	if s.Error != "" {
		properties["settings error"] = fmt.Sprintf("reason=%s rev=%d since=%s error=%q", s.Reason, s.ErrorRev, stamp(s.Since), s.Error)
	}
	if len(s.Unknown) > 0 {
		properties["settings unknown"] = words(s.Unknown)
	}
	if len(s.Unapplied) > 0 {
		properties["settings unapplied"] = words(s.Unapplied)
	}
	return properties
}

// words puts a space between paths, whose keys anybody may have written: none of them has one, nor ends the line.
func words(paths []string) string {
	words := make([]string, len(paths))
	for i, path := range paths {
		quoted := strconv.Quote(path)
		words[i] = strings.ReplaceAll(quoted[1:len(quoted)-1], " ", `\x20`)
	}
	return strings.Join(words, " ")
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
