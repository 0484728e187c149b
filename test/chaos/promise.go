//go:build unix

package main

import (
	"fmt"
	"time"

	"github.com/rocketkit/rocketkit/test/chaos/ledger"
)

// promise is what rocketkit promises for a scenario, beside that nothing is lost and first deliveries are in order.
type promise struct {
	once  bool          // no duplicates
	stall time.Duration // longest anywhere; 0 means none is named
}

// broken says what of it doesn't hold.
func (p promise) broken(f ledger.Figures) []string {
	var all []string
	if f.Lost > 0 {
		all = append(all, fmt.Sprintf("%d lost", f.Lost))
	}
	if f.OutOfOrder > 0 {
		all = append(all, fmt.Sprintf("%d out of order", f.OutOfOrder))
	}
	if p.once && f.Duplicates > 0 {
		all = append(all, fmt.Sprintf("%d duplicates", f.Duplicates))
	}
	return all
}

// late says whether the longest stall is over what is promised. It is apart from what is broken, as a busy machine makes
// its own stalls.
func (p promise) late(f ledger.Figures) bool { return p.stall > 0 && f.Stall > p.stall }
