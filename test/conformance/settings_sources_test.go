package conformance

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/dynconf/file"
)

// An operator changes one number, and a running consumer handles so many messages at once: the number is in the name servers,
// or in a file.
func TestSettingsChangeALiveConsumer(t *testing.T) { onEach(t, testSettingsChangeALiveConsumer) }

func testSettingsChangeALiveConsumer(t *testing.T, on target) {
	cfg := on.config(t, tenantOf(t, ""))
	cfg.Settings.CacheDir = "off" // what is in force comes from where the test puts it
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	topic(t, client, "orders")

	path := filepath.Join(t.TempDir(), "settings.json")
	for name, c := range map[string]struct {
		source dynconf.Source
		write  func(t *testing.T, spec string)
	}{
		"name servers": {nil, func(t *testing.T, spec string) {
			_, err := admin.New(client).Settings("name-servers").Write(t.Context(), admin.SettingsDraft{Spec: []byte(spec), By: "somebody"}, nil)
			if err != nil {
				t.Fatal(err)
			}
		}},
		"file " + path: {file.New(path), func(t *testing.T, spec string) {
			if err := os.WriteFile(path+".new", []byte(spec), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		group, _, _ := strings.Cut(strings.ReplaceAll(name, " s", "-s"), " ")
		t.Run(group, func(t *testing.T) { followSettings(t, client, group, name, c.source, c.write) })
	}
}

func followSettings(t *testing.T, client *rocketkit.Client, group, from string, source dynconf.Source, write func(*testing.T, string)) {
	const messages = 30
	var running atomic.Int64
	release := make(chan struct{})
	got := newTally()
	c := run(t, client, consumer.Config{
		Group: group, Start: consumer.Earliest(), Settings: source,
		Topics: map[string]consumer.Topic{"orders": {Workers: 2, Handler: func(_ context.Context, m *rocketkit.Message) error {
			running.Add(1)
			<-release
			running.Add(-1)
			got.add(string(m.Body()))
			return nil
		}}},
	})
	prefix := group + "-m"
	send(t, client, "orders", prefix, messages)
	steady := func(workers int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d handlers", workers), func() bool {
			return running.Load() == workers && c.Stats().Topics["orders"].Waiting > 0
		})
	}
	steady(2) // as the program has it
	write(t, `{"topics":{"orders":{"workers":7,"maxWorkers":7}}}`)
	steady(7)
	write(t, `{"topics":{"orders":{"workers":100000}}}`) // far out of range
	eventually(t, "the refusal", func() bool { return c.Stats().Settings.Error != "" })
	if s := c.Stats(); s.Topics["orders"].Workers != 7 || s.Settings.Reason != dynconf.Invalid || s.Settings.From != from {
		t.Errorf("after settings out of range: %+v, %+v", s.Settings, s.Topics["orders"])
	}
	write(t, `{}`) // back to the program's own, while 7 run
	eventually(t, "2 workers", func() bool {
		s := c.Stats()
		return s.Topics["orders"].Workers == 2 && s.Settings.Error == ""
	})
	close(release)
	mine := func(counts map[string]int) map[string]int { // the other group's are in the topic, too
		maps.DeleteFunc(counts, func(body string, _ int) bool { return !strings.HasPrefix(body, prefix) })
		return counts
	}
	got.await(t, "all messages", func(counts map[string]int) bool { return len(mine(counts)) == messages })
	for body, times := range mine(got.all()) {
		if times != 1 {
			t.Errorf("%s was handled %d times", body, times)
		}
	}
}
