package cluster

import (
	"runtime/debug"
	"sync"
)

const (
	reserveBytes = 32 << 20
	reserveLimit = 256 << 20 // with less than this as its memory limit (GOMEMLIMIT) a process has none to spare
)

// reserve is memory that is set aside and never touched, so that it takes addresses and no memory. What consumers receive
// is garbage a moment later, 40 kB with each pull; in a process with little else on its heap the collector runs for each
// 4 MB of it, and takes more time than the messages. It runs for each 32 MB when so much is held.
type reserve struct {
	mu    sync.Mutex
	users int
	held  []byte
}

// Reserve has the collector run less often until release is called, which may be once. It is for who receives much.
func (c *Cluster) Reserve() (release func()) {
	r := &c.reserve
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users++; r.held == nil && debug.SetMemoryLimit(-1) >= reserveLimit {
		r.held = make([]byte, reserveBytes)
	}
	return r.release
}

func (r *reserve) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.users--; r.users == 0 {
		r.held = nil
	}
}
