package trace

import (
	"context"
	"errors"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/send"
)

const (
	flushEvery  = time.Second     // how long a record waits for others
	sendWithin  = 5 * time.Second // one trace message: AsyncTraceDispatcher's sendMsgTimeout
	flushWithin = 5 * time.Second // the rest, at the end: AsyncTraceDispatcher.WAIT_FOR_SHUTDOWN
)

// trouble is what was said of records that were lost, so that it is said once.
type trouble struct {
	now  bool
	lost int64 // until its end
}

// run sends records until Close or ctx's end: full parcels at once, the rest each flushEvery. While the topic takes none
// it tries once in that time, and what doesn't fit meanwhile is lost.
func (r *Recorder) run(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var t trouble
	for {
		full := r.full
		if t.now {
			full = nil
		}
		select {
		case <-r.stop:
			r.write(ctx, true, &t)
			r.giveUp()
			return
		case <-tick.C:
			r.write(ctx, true, &t)
		case <-full:
			r.write(ctx, false, &t)
		}
	}
}

// write sends the full parcels there are, and then the one that isn't if all is set, until one fails. What comes meanwhile
// begins another parcel, which waits for its own turn: while messages come without end, sending on would be one message
// for each few records. Where there was none, nothing is known of the topic, and nothing reported.
func (r *Recorder) write(ctx context.Context, all bool, t *trouble) {
	p, full := r.records.next(all)
	if p == nil {
		return
	}
	for {
		if err := r.put(ctx, p); err != nil {
			r.lost.Add(int64(p.records))
			r.report(t, err)
			return
		}
		if !full {
			break
		}
		if p, full = r.records.next(all); p == nil {
			break
		}
	}
	r.report(t, nil)
}

// put sends one parcel.
func (r *Recorder) put(ctx context.Context, p *parcel) error {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	properties := protocol.AppendProperty(nil, protocol.PropertyUniqueKey, r.ids.Next(time.Now()))
	properties = protocol.AppendProperty(properties, protocol.PropertyKeys, p.keys.String())
	_, err := r.to.Send(ctx, &send.Request{Group: r.through, Properties: properties, Body: p.data})
	return err
}

// giveUp counts what is left at the end.
func (r *Recorder) giveUp() {
	for p, _ := r.records.next(true); p != nil; p, _ = r.records.next(true) {
		r.lost.Add(int64(p.records))
	}
}

// report says once that records are lost and why, and once that none are any more.
func (r *Recorder) report(t *trouble, err error) {
	lost := r.lost.Load()
	losing := err != nil || lost > t.lost
	switch {
	case losing && t.now, !losing && !t.now:
	case !losing:
		r.log.Info("message trace is written again", "lost", lost)
	case errors.Is(err, rocketkit.ErrNoRoute):
		r.log.Warn("message trace is not written: its topic doesn't exist", "lost", lost,
			"do", "create the topic by admin.CreateTopic or mqadmin updateTopic, "+rocketkit.DefaultTraceTopic+" by the brokers' setting traceTopicEnable")
	case err != nil:
		r.log.Warn("message trace is not written", "lost", lost, "error", err)
	default:
		r.log.Warn("message trace lacks records: they come faster than the topic takes them", "lost", lost)
	}
	t.now, t.lost = losing, lost
}
