package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
)

// poolSet is `rocketkit pool set` with its flags.
type poolSet struct {
	changeFlags

	topic         string
	workers, most int
	pause, resume bool
	reset, undo   bool
	lasts         string

	numbers []string // the flags that were given for numbers
}

func poolSetCommand(shared *connection) *cobra.Command {
	p := &poolSet{changeFlags: changeFlags{groupFlags: groupFlags{shared: shared}}}
	command := &cobra.Command{
		Use:   "set -g <group> -t <topic> [--workers <n>] [--max <n>]",
		Short: "Change how many workers a topic has, on all instances, while they run",
		Long: `Change how many workers a topic has, on all instances of a group, while they run.

It checks the topic against what the live instances receive, shows the difference, asks, writes the group's settings
document to every name server, and prints a line for each instance once that has applied it. What else the document says
stays as it is.

It ends with status 0 when all live instances have applied it; 4 when the change is in force but a name server has missed
it, which rocketkit conf repair heals; 5 when an instance hasn't applied it within --timeout, has refused it, or can't,
as members of other libraries; 3 when you said no; 2 when the call was wrong; 1 when something failed.`,
		Example: `  rocketkit pool set -g billing -t orders --workers 16 --max 64             # from now on
  rocketkit pool set -g billing -t orders --workers 16 --max 64 --for 30m   # then the program's own again
  rocketkit pool set -g billing -t orders --max 64 --dry-run                # what would change
  rocketkit pool set -g billing -t orders --pause                           # no handler is called; --resume goes on
  rocketkit pool set -g billing -t orders --reset                           # back to the program's own numbers
  rocketkit pool set -g billing --undo                                      # back to the settings before the last change
  rocketkit pool set -g billing -t orders --workers 32 --yes -o json --key-file operators.key`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return p.execute(command) },
	}
	p.add(command)
	flags := command.Flags()
	flags.StringVarP(&p.topic, "topic", "t", "", "the topic (required but for --undo)")
	flags.IntVar(&p.workers, "workers", 0, "how many messages may be handled at once")
	flags.IntVar(&p.most, "max", 0, "and how many while messages wait")
	flags.BoolVar(&p.pause, "pause", false, "call no handler of the topic")
	flags.BoolVar(&p.resume, "resume", false, "call handlers again")
	flags.BoolVar(&p.reset, "reset", false, "take workers, max and pause out of the settings, so that the program's own hold")
	flags.BoolVar(&p.undo, "undo", false, "go back to the settings before the last change; again to undo that")
	flags.StringVar(&p.lasts, "for", "", "how long the group's settings hold, such as 30m; then the program's own do again. Or never")
	// The flags exist, so none of these fails.
	_ = command.RegisterFlagCompletionFunc("topic", p.completeTopics)
	for _, flag := range []string{"workers", "max", "for"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return command
}

func (p *poolSet) execute(command *cobra.Command) error {
	changed := command.Flags().Changed
	changes := changed("workers") || changed("max") || p.pause || p.resume || p.reset
	switch {
	case p.group == "": // told by run
	case p.undo && (changes || p.topic != "" || p.lasts != ""):
		return usage("--undo takes back all of the last change, and goes without --topic, --workers, --max, --pause, --resume, --reset and --for")
	case p.undo:
	case p.topic == "":
		return usage("--topic is missing: name the topic whose workers are to change")
	case !changes:
		return usage("nothing to change: give --workers, --max, --pause, --resume, --reset or --undo")
	case p.reset && (changed("workers") || changed("max") || p.pause || p.resume):
		return usage("--reset takes the topic's numbers away, and goes without --workers, --max, --pause and --resume")
	case p.pause && p.resume:
		return usage("--pause and --resume exclude each other")
	}
	if _, _, err := parseFor(p.lasts); err != nil {
		return err
	}
	if p.undo {
		return p.run(command, undo)
	}
	c := topicChange{topic: p.topic, set: map[string]any{}}
	if changed("workers") {
		c.set["workers"] = p.workers
		p.numbers = append(p.numbers, "--workers")
	}
	if changed("max") {
		c.set["maxWorkers"] = p.most
		p.numbers = append(p.numbers, "--max")
	}
	if p.pause || p.resume {
		c.set["pause"] = p.pause
	}
	if p.reset {
		c.unset = []string{"workers", "maxWorkers", "pause"}
	}
	return p.run(command, func(now *change) (admin.SettingsDraft, error) {
		if err := now.checkTopic(command.Context(), p.topic); err != nil {
			return admin.SettingsDraft{}, err
		}
		return p.propose(now, c)
	})
}

// propose puts the change into the settings that are in force.
func (p *poolSet) propose(now *change, c topicChange) (admin.SettingsDraft, error) {
	draft := admin.SettingsDraft{Over: now.over()}
	err := now.base()
	if err != nil {
		return draft, err
	}
	if draft.Expires, err = p.expires(now); err != nil {
		return draft, err
	}
	if draft.Spec, err = c.apply(now.inForce()); err != nil {
		return draft, fmt.Errorf("the settings that are in force: %w", err)
	}
	if now.inForce() == nil && string(draft.Spec) == "{}" { // there is nothing to reset
		draft.Spec, draft.Deleted, draft.Expires = nil, true, time.Time{}
		return draft, nil
	}
	if err := now.checkSpec(cmp.Or(strings.Join(p.numbers, ", "), "the settings"), draft.Spec, true); err != nil {
		if slices.Equal(p.numbers, []string{"--workers"}) && strings.Contains(err.Error(), ".maxWorkers:") {
			err = fmt.Errorf("%w: give --max too", err)
		}
		return draft, err
	}
	return draft, nil
}

// expires tells when the settings end. Where those in force end at some time, and nothing is said, neither answer is safe:
// the one would end what is to stay, the other keep what was to end.
func (p *poolSet) expires(now *change) (time.Time, error) {
	lasts, given, err := parseFor(p.lasts)
	switch ends := now.state.Current.Expires; {
	case err != nil:
		return time.Time{}, err
	case lasts > 0:
		now.holds = lasts
		return now.now.Add(lasts), nil
	case !given && now.inForce() != nil && !ends.IsZero():
		return time.Time{}, usage("--for is missing: the settings of group %s end %s; give --for %s to have them all end about then, or --for never to have them all stay",
			now.group, until(ends, now.now), whole(ends.Sub(now.now)))
	}
	return time.Time{}, nil
}

// parseFor reads --for; 0 is never.
func parseFor(text string) (d time.Duration, given bool, err error) {
	switch text {
	case "":
		return 0, false, nil
	case "never":
		return 0, true, nil
	}
	if d, err = time.ParseDuration(text); err != nil || d < time.Second {
		return 0, true, usage("--for %q is neither a duration of 1s or more, such as 30m or 2h, nor never", text)
	}
	return d, true, nil
}

// undo goes back to what was in force before, which must be what instances have, or come before that.
func undo(c *change) (admin.SettingsDraft, error) {
	if c.newest().Rev > max(c.state.Current.Rev, c.state.Previous.Rev) {
		if err := c.base(); err != nil {
			return admin.SettingsDraft{}, err
		}
	}
	return c.state.Undo(c.now)
}
