package engine

// State is where a consumer is in its life.
type State int

// The states, in order.
const (
	Starting State = iota // Run has not been called, or waits for name servers or brokers
	Running
	Draining
	Stopped
)

// String gives the state in lower case.
func (s State) String() string {
	return [...]string{"starting", "running", "draining", "stopped"}[s]
}

// setState tells whether that is news.
func (e *Engine) setState(s State, waits string) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	news = e.state != s || e.waits == "" && waits != ""
	e.state, e.waits = s, waits
	return news
}
