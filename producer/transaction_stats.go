package producer

import "time"

// TransactionStats is what became of a Producer's transactions and of the check-backs that it answered, since New. Each
// instance of the producer group answers a share of the group's check-backs.
type TransactionStats struct {
	Committed   int64 // by Transact
	RolledBack  int64 // by Transact
	LeftToCheck int64 // by Transact: ErrLeftToCheck, and local steps that panicked
	Lost        int64 // ErrHalfLost
	Running     int   // calls of Transact under way

	Checks           int64 // check-backs received, those below included
	CheckCommitted   int64 // settled by Check
	CheckRolledBack  int64 // settled by Check
	CheckOpen        int64 // Check returned another error, panicked, or the broker couldn't be told
	CheckOwn         int64 // not asked: Transact was in the middle of it
	CheckRepeated    int64 // not asked: the same message's Check was under way
	CheckDropped     int64 // not asked: too many waited; the broker asks again
	Checking         int   // Checks that run
	WaitingForChecks int   // check-backs that wait for their turn

	// Asking of the Brokers that the name servers list know this producer, and so ask it.
	Asking, Brokers int

	// Open is how many messages this producer has left open lately and hasn't settled since, at most 1,000; another
	// instance may have. Oldest is the one that began first; nil when there is none.
	Open   int
	Oldest *OpenTransaction
}

// OpenTransaction is a message whose outcome wasn't known when this producer last looked.
type OpenTransaction struct {
	ID     string
	Topic  string
	Began  time.Time // when it was sent, by the sender's clock
	Checks int       // check-backs so far, of all instances; brokers give up after 15 (transactionCheckMax)
	Error  string    // the Check's last; empty before the first

	heard time.Time
}

const (
	mostOpen   = 1000
	forgetOpen = 15 * time.Minute // without news, another instance has settled it, or its broker has given up
)

// Transactions tells what became of transactions so far. All is 0 without Config.Check.
func (p *Producer) Transactions() TransactionStats {
	t := p.checks
	if t == nil {
		return TransactionStats{}
	}
	asking, brokers := p.view.Asking(p.group)
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.counts
	s.Running, s.Checking, s.WaitingForChecks = len(t.halves), t.running, len(t.waiting)
	s.Asking, s.Brokers = asking, brokers
	t.forgetOld()
	s.Open = len(t.left)
	for _, o := range t.left {
		if s.Oldest == nil || o.Began.Before(s.Oldest.Began) {
			s.Oldest = o
		}
	}
	if s.Oldest != nil {
		oldest := *s.Oldest
		s.Oldest = &oldest
	}
	return s
}

// keep notes a message that is left open. What finds no room is counted but not listed. Under t.mu.
func (t *transactions) keep(at place, o *OpenTransaction) {
	o.heard = time.Now()
	if len(t.left) >= mostOpen {
		t.forgetOld()
	}
	if _, known := t.left[at]; known || len(t.left) < mostOpen {
		t.left[at] = o
	}
}

func (t *transactions) forgetOld() {
	for at, o := range t.left {
		if time.Since(o.heard) > forgetOpen {
			delete(t.left, at)
		}
	}
}
