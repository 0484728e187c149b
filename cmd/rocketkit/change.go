package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/dynconf"
)

// changeFlags say how settings are changed.
type changeFlags struct {
	groupFlags

	yes, dryRun bool
	keyFile     string
	by          string
	timeout     time.Duration
}

func (f *changeFlags) add(command *cobra.Command) {
	f.groupFlags.add(command)
	flags := command.Flags()
	flags.BoolVarP(&f.yes, "yes", "y", false, "don't ask")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the difference and stop")
	flags.StringVar(&f.keyFile, "key-file", "", "sign with the key in this file, which rocketkit keys new has made")
	flags.StringVar(&f.by, "by", "", "who changes it, for those who look later (default user@host)")
	flags.DurationVar(&f.timeout, "timeout", 30*time.Second, "how long to watch the instances; 0 doesn't")
	// The flags exist, so none of these fails.
	_ = command.MarkFlagFilename("key-file")
	for _, flag := range []string{"by", "timeout"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
}

func (f *changeFlags) check() error {
	if err := f.groupFlags.check(); err != nil {
		return err
	}
	switch {
	case f.timeout < 0:
		return usage("--timeout %v is negative", f.timeout)
	case f.json() && !f.yes && !f.dryRun:
		return usage("--output json goes with --yes or --dry-run: nobody can be asked")
	}
	return nil
}

// change is one change of a group's settings.
type change struct {
	*changeFlags
	key ed25519.PrivateKey
	out io.Writer // what was done
	err io.Writer // what else is to be known
	in  io.Reader

	admin *admin.Admin
	now   time.Time
	state admin.SettingsState
	live  []admin.Instance // sorted by client id
	holds time.Duration    // how long the draft is to hold from when it is written; 0: as it says
}

// proposal makes the draft of a change from what is there.
type proposal func(*change) (admin.SettingsDraft, error)

// run reads what is there, shows what the proposal changes, asks, writes it, and watches the instances.
func (f *changeFlags) run(command *cobra.Command, propose proposal) error {
	if err := f.check(); err != nil {
		return err
	}
	key, err := readKey(f.keyFile)
	if err != nil {
		return err
	}
	client, err := f.open()
	if err != nil {
		return err
	}
	ctx := command.Context()
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	if err := keyServes(key, client); err != nil {
		return err
	}
	c := &change{
		changeFlags: f, key: key, admin: admin.New(client), now: time.Now(),
		in: command.InOrStdin(), out: command.OutOrStdout(), err: command.ErrOrStderr(),
	}
	if err := c.look(ctx); err != nil {
		return err
	}
	draft, err := propose(c)
	if err != nil {
		return err
	}
	return c.carryOut(ctx, draft)
}

// keyServes tells beforehand what every instance would refuse.
func keyServes(key ed25519.PrivateKey, client *rocketkit.Client) error {
	keys := client.Settings().Keys
	switch {
	case len(keys) == 0:
		return nil
	case key == nil:
		return usage("ROCKETKIT_SETTINGS_KEYS is set, so instances take only what is signed: give a --key-file")
	}
	public, _ := key.Public().(ed25519.PublicKey) // it is one
	if !slices.ContainsFunc(keys, func(k ed25519.PublicKey) bool { return k.Equal(public) }) {
		return usage("--key-file: key %s is none of those in ROCKETKIT_SETTINGS_KEYS, so instances would refuse what it signs", dynconf.KeyID(public))
	}
	return nil
}

// look reads the document and the instances.
func (c *change) look(ctx context.Context) (err error) {
	if c.state, err = c.read(ctx, c.admin, c.err); err != nil {
		return err
	}
	c.live, err = c.admin.Instances(ctx, c.group)
	var partial *admin.PartialError
	if err != nil && errors.As(err, &partial) && len(partial.Done) > 0 {
		_, _ = fmt.Fprintln(c.err, "some instances may be missing:", err)
		err = nil
	}
	c.catchUp(ctx)
	return argument(err)
}

// inForce are the settings that instances are to have applied now; empty where there are none.
func (c *change) inForce() json.RawMessage {
	if !c.state.InForce(c.now) {
		return nil
	}
	return c.state.Current.Spec
}

// over is the revision that the change was made from.
func (c *change) over() int64 {
	if c.state.Current.Rev == 0 {
		return admin.NoSettings
	}
	return c.state.Current.Rev
}

// topics are those that live instances receive.
func (c *change) topics() []string {
	var all []string
	for _, i := range c.live {
		all = append(all, topicsOf(i.Info.Subscriptions)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkTopic holds a topic against what the live instances report.
func (c *change) checkTopic(ctx context.Context, topic string) error {
	silent := 0
	var why error
	for _, i := range c.live {
		if i.Err != nil {
			silent, why = silent+1, i.Err
		}
	}
	also := ""
	if silent > 0 {
		also = fmt.Sprintf(" (no answer from %d of %s)", silent, count(len(c.live), "instance"))
	}
	switch topics := c.topics(); {
	case len(c.live) == 0:
		return fmt.Errorf("--group: %s", c.nobody(ctx))
	case len(topics) == 0 && silent > 0:
		return fmt.Errorf("no instance of group %s says whether it receives topic %s%s: %w", c.group, topic, also, why)
	case !slices.Contains(topics, topic):
		return usage("--topic: no live instance of group %s receives %q%s; %s", c.group, topic, also, didYouMean("topic", topic, topics))
	}
	return nil
}

// nobody says that the group has no instance, and what else may have been meant.
func (c *change) nobody(ctx context.Context) string {
	text := fmt.Sprintf("no instance of group %s is connected", c.group)
	groups, err := c.admin.ListGroups(ctx)
	switch {
	case err != nil:
		return text
	case slices.Contains(groups, c.group):
		return text + "; rocketkit conf put writes settings before one starts"
	}
	return text + ", and brokers don't know the group; " + didYouMean("group", c.group, groups)
}

// checkSpec holds settings against their schema. A key that nobody knows is an error where the document in force hasn't
// got it, since it is most likely misspelled.
func (c *change) checkSpec(where string, spec json.RawMessage, allowUnknown bool) error {
	_, unknown, err := consumer.ParseSettings(spec)
	if err != nil {
		return usage("%s: %w", where, err)
	}
	if allowUnknown {
		return nil
	}
	have := slices.Collect(maps.Keys(leaves(c.inForce())))
	for _, path := range unknown {
		if !slices.ContainsFunc(have, func(p string) bool { return p == path || strings.HasPrefix(p, path+".") }) {
			return usage("%s: %s is no setting that this release knows; %s (if a newer one does, add --allow-unknown)", where, path, nearestSetting(path))
		}
	}
	return nil
}

// carryOut shows the change, asks, writes, and watches.
func (c *change) carryOut(ctx context.Context, draft admin.SettingsDraft) error {
	rows := c.rows(draft)
	if !c.json() {
		c.show(ctx, draft, rows)
	}
	if len(rows) == 0 {
		return c.confirmApplied(ctx)
	}
	if c.dryRun {
		if c.json() {
			return printJSON(c.out, c.report(draft))
		}
		return nil
	}
	if !c.yes {
		if err := confirm(ctx, c.in, c.out, c.question()); err != nil {
			return err
		}
		c.note()
	}
	if draft.By = c.by; draft.By == "" {
		draft.By = c.whoami()
	}
	draft.Above = c.newest().Rev
	if c.holds > 0 { // the answer may have taken a while
		draft.Expires = time.Now().Add(c.holds)
	}
	written, err := c.admin.Settings(c.group).Write(ctx, draft, c.key)
	var partial *admin.PartialError
	if err != nil && (!errors.As(err, &partial) || len(partial.Done) == 0) {
		return c.notWritten(err)
	}
	return c.follow(ctx, written, partial)
}

// note leaves a line free.
func (c *change) note() { _, _ = fmt.Fprintln(c.out) }

func (c *change) notWritten(err error) error {
	if errors.Is(err, admin.ErrSettingsChanged) {
		return fmt.Errorf("%w; run this again to see what changes now", err)
	}
	return argument(err)
}

func (c *change) question() string {
	return fmt.Sprintf("Write them to %s, for %s?", count(len(c.state.Servers), "name server"), count(len(c.live), "instance"))
}

// whoami names who runs the program.
func (c *change) whoami() string {
	name, _ := c.shared.console.lookup("USER")
	if who, err := user.Current(); name == "" && err == nil {
		name = who.Username
	}
	host, _ := os.Hostname() // unknown is nothing
	return strings.Trim(name+"@"+host, "@")
}

// count is "1 instance", "2 instances".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
