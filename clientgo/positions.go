package clientgo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/tenant"
)

// directoryVariable is where client-go looks for the directory of positions.
const directoryVariable = "rocketmq.client.localOffsetStoreDir"

// writeEvery is how long positions stay in memory before they are written: what a kill -9 repeats.
const writeEvery = time.Second

// positions are those of a broadcasting consumer, in the file that client-go keeps them in: below the directory of the
// variable rocketmq.client.localOffsetStoreDir, or .rocketmq_client_go in the user's home, by client id and group.
type positions struct {
	path  string
	names tenant.Names

	mu      sync.Mutex
	offsets map[fileQueue]int64
	timer   *time.Timer // of the next write; nil when there is none to come
	why     error       // what the last write failed of
	closed  bool
}

// fileQueue is a queue as the file has it, by physical topic.
type fileQueue struct {
	Topic  string `json:"topic"`
	Broker string `json:"brokerName"`
	ID     int    `json:"queueId"`
}

// MarshalText and UnmarshalText write and read the keys of the file: JSON in strings.
func (q fileQueue) MarshalText() ([]byte, error) {
	type plain fileQueue
	return json.Marshal(plain(q))
}

// UnmarshalText reads what MarshalText writes.
func (q *fileQueue) UnmarshalText(text []byte) error {
	type plain fileQueue
	return json.Unmarshal(text, (*plain)(q))
}

type positionsFile struct {
	Offsets map[fileQueue]int64 `json:"offsetTable"`
}

func newPositions(client *rocketkit.Client, group string) (*positions, error) {
	names := client.Cluster().Names
	physical, err := names.Group(group)
	if err != nil {
		return nil, configError("consumer.WithGroupName: %v", err)
	}
	directory := os.Getenv(directoryVariable)
	if directory == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, configError("consumer.WithConsumerModel: BroadCasting keeps positions in a file, and there is no place for it: %v; set %s",
				err, directoryVariable)
		}
		directory = filepath.Join(home, ".rocketmq_client_go")
	}
	p := &positions{path: filepath.Join(directory, client.ID(), physical, "offset.json"), names: names}
	return p, p.read()
}

// Load gives the positions that the file had.
func (p *positions) Load(_ context.Context, queues []rocketkit.Queue) (map[rocketkit.Queue]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := map[rocketkit.Queue]int64{}
	for _, q := range queues {
		if offset, ok := p.offsets[p.key(q)]; ok {
			found[q] = offset
		}
	}
	return found, nil
}

func (p *positions) read() error {
	content, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		p.offsets = map[fileQueue]int64{}
		return nil
	}
	var file positionsFile
	if err == nil {
		err = json.Unmarshal(content, &file)
	}
	if err != nil {
		return fmt.Errorf("clientgo: positions in %s: %w; remove the file to begin anew", p.path, err)
	}
	if p.offsets = file.Offsets; p.offsets == nil {
		p.offsets = map[fileQueue]int64{}
	}
	return nil
}

func (p *positions) key(q rocketkit.Queue) fileQueue {
	physical, err := p.names.Resource(q.Topic)
	if err != nil {
		physical = q.Topic
	}
	return fileQueue{physical, q.Broker, q.ID}
}

// Commit notes positions, and has the file written soon. It tells what the last write failed of.
func (p *positions) Commit(_ context.Context, moved map[rocketkit.Queue]int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for q, offset := range moved {
		p.offsets[p.key(q)] = offset
	}
	if p.timer == nil && !p.closed {
		p.timer = time.AfterFunc(writeEvery, p.writeLater)
	}
	return p.why
}

func (p *positions) writeLater() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if !p.closed {
		p.why = p.write()
	}
}

// write puts a new file in the place of the old one, so that a kill -9 leaves one of them whole.
func (p *positions) write() error {
	content, err := json.Marshal(positionsFile{maps.Clone(p.offsets)})
	if err != nil {
		return fmt.Errorf("positions in %s: %w", p.path, err)
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o755); err != nil {
		return fmt.Errorf("positions: %w", err)
	}
	if err := os.WriteFile(p.path+".new", content, 0o600); err != nil {
		return fmt.Errorf("positions: %w", err)
	}
	if err := os.Rename(p.path+".new", p.path); err != nil {
		return fmt.Errorf("positions: %w", err)
	}
	return nil
}

// close writes a last time.
func (p *positions) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed = true; p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	return p.write()
}
