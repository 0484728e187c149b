package engine

import (
	"sync"
	"sync/atomic"
)

// muchTraffic is how many bytes make a consumer one that receives much.
const muchTraffic = 64 << 20

// traffic is what a member has received, in bytes.
type traffic struct {
	bytes atomic.Int64

	mu      sync.Mutex
	release func() // of the Client's reserve; nil before there is much
}

// received counts a block. From muchTraffic on the collector is to run less often.
func (e *Engine) received(bytes int) {
	before := e.traffic.bytes.Add(int64(bytes)) - int64(bytes)
	if before >= muchTraffic || before+int64(bytes) < muchTraffic {
		return
	}
	e.traffic.mu.Lock()
	defer e.traffic.mu.Unlock()
	e.traffic.release = e.view.Reserve()
}

// end is called once nothing is received any more.
func (t *traffic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.release != nil {
		t.release()
	}
}
