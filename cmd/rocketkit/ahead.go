package main

import (
	"context"
	"fmt"
	"io"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// newest is what the live instances have applied last; its Rev is 0 where none has applied anything.
func (c *change) newest() (newest admin.MemberSettings) {
	latest := c.now.Add(dynconf.MaxAhead).UnixMilli() // an instance can't have applied one from the future
	for _, i := range c.live {
		if s, has := i.Info.Settings(); has && !s.Elsewhere() && s.Rev > newest.Rev && s.Rev <= latest {
			newest = s
		}
	}
	return newest
}

// ahead tells whether instances have applied newer settings than any name server has that answers: one that has them is
// down, or all have lost their tables. Instances keep what they have, so what name servers say isn't what holds.
func (c *change) ahead() (admin.MemberSettings, bool) {
	s := c.newest()
	none := (s.Deleted || s.Expired) && !c.state.InForce(c.now)
	return s, s.Rev > c.state.Current.Rev && !none
}

// catchUp reads again what name servers have where instances are ahead of it: somebody may have written in between.
func (c *change) catchUp(ctx context.Context) {
	if _, is := c.ahead(); !is {
		return
	}
	if state, err := c.read(ctx, c.admin, io.Discard); err == nil && state.Current.Rev > c.state.Current.Rev { // what is wrong has been told
		c.state = state
	}
}

// base refuses to change what is in force in part where that isn't known: all else that it says would be lost.
func (c *change) base() error {
	s, is := c.ahead()
	if !is {
		return nil
	}
	hint := "run this again once all of them answer, or replace all settings by rocketkit conf put"
	if c.state.Current.Rev == 0 && c.state.Previous.Rev == s.Rev {
		hint = fmt.Sprintf("run %s, which writes that again", c.undoing())
	}
	return fmt.Errorf("instances have applied revision %d%s, which no name server has that answers, so what else it says isn't known: %s",
		s.Rev, by(dynconf.Document{By: s.By}), hint)
}

// standing says which settings hold.
func (c *change) standing() string {
	s, is := c.ahead()
	switch {
	case !is:
		return stateText(c.state, c.now)
	case c.state.Current.Rev == 0:
		return fmt.Sprintf("none on the name servers that answer; instances keep revision %d%s", s.Rev, by(dynconf.Document{By: s.By}))
	}
	return fmt.Sprintf("%s; instances have revision %d%s, which no name server has that answers", stateText(c.state, c.now), s.Rev, by(dynconf.Document{By: s.By}))
}
