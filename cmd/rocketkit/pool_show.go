package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// poolShow is `rocketkit pool show` with its flags.
type poolShow struct {
	groupFlags
	topic string
}

func poolShowCommand(shared *connection) *cobra.Command {
	p := &poolShow{groupFlags: groupFlags{shared: shared}}
	command := &cobra.Command{
		Use:   "show -g <group> [-t <topic>]",
		Short: "Show the workers of each instance, and what settings it has applied",
		Long: `Show the workers of each instance of a group, and what settings it has applied.

WORKERS is how many messages may be handled at once, MAX how many while messages wait, ACTIVE how many are, WAITING how
many messages wait for a worker.`,
		Example: `  rocketkit pool show -g billing
  rocketkit pool show -g billing -t orders --tenant red -o json`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return p.execute(command) },
	}
	p.add(command)
	command.Flags().StringVarP(&p.topic, "topic", "t", "", "this topic alone")
	_ = command.RegisterFlagCompletionFunc("topic", p.completeTopics) // the flag exists
	return command
}

func (p *poolShow) execute(command *cobra.Command) error {
	client, err := p.open()
	if err != nil {
		return err
	}
	ctx := command.Context()
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	a := admin.New(client)
	state, err := p.read(ctx, a, command.ErrOrStderr())
	if err != nil {
		return err
	}
	instances, err := a.Instances(ctx, p.group)
	var partial *admin.PartialError
	if err != nil && (!errors.As(err, &partial) || len(partial.Done) == 0) {
		return argument(err)
	}
	if err != nil {
		_, _ = fmt.Fprintln(command.ErrOrStderr(), "some instances may be missing:", err)
	}
	c := &change{changeFlags: &changeFlags{groupFlags: p.groupFlags}, admin: a, now: time.Now(), state: state, live: instances}
	c.catchUp(ctx)
	if len(instances) == 0 {
		return errors.New(c.nobody(ctx))
	}
	if p.topic != "" {
		if err := c.checkTopic(ctx, p.topic); err != nil {
			return err
		}
	}
	if p.json() {
		return printJSON(command.OutOrStdout(), p.report(c))
	}
	_, _ = fmt.Fprintf(command.OutOrStdout(), "Settings of %s: %s\n\n", state.ID, c.standing())
	if err := table(command.OutOrStdout(), []string{"TOPIC", "INSTANCE", "WORKERS", "MAX", "ACTIVE", "WAITING", "SETTINGS"}, p.rows(c)); err != nil {
		return err
	}
	for i, note := range notes(c.live) {
		if i == 0 {
			_, _ = fmt.Fprintln(command.OutOrStdout())
		}
		_, _ = fmt.Fprintln(command.OutOrStdout(), clean(note))
	}
	return nil
}

// notes are what instances report besides, a line for all that report the same.
func notes(live []admin.Instance) []string {
	var lines []string
	by := map[string][]string{}
	for _, i := range live {
		s, _ := i.Info.Settings()
		var said []string
		if s.Error != "" {
			said = append(said, refusal(s))
		}
		if len(s.Unknown) > 0 {
			said = append(said, "ignores "+strings.Join(s.Unknown, ", "))
		}
		if len(s.Unapplied) > 0 {
			said = append(said, "doesn't apply yet "+strings.Join(s.Unapplied, ", "))
		}
		for _, line := range said {
			if len(by[line]) == 0 {
				lines = append(lines, line)
			}
			by[line] = append(by[line], i.ClientID)
		}
	}
	for i, line := range lines {
		lines[i] = strings.Join(by[line], ", ") + ": " + line
	}
	return lines
}

// refusal is why an instance has refused a document, or can't read one.
func refusal(s admin.MemberSettings) string {
	text := fmt.Sprintf("%s: %s", s.Reason, s.Error)
	switch {
	case s.ErrorRev != 0:
		return fmt.Sprintf("refuses revision %d: %s", s.ErrorRev, text)
	case s.Reason != string(dynconf.Unreadable):
		return "refuses a document: " + text
	}
	return text
}

// rows gives a row for each topic of each instance.
func (p *poolShow) rows(c *change) [][]string {
	var rows [][]string
	for _, i := range c.live {
		pools := i.Info.Pools()
		if len(pools) == 0 {
			note := without(i)
			if i.Err != nil {
				note = "doesn't answer: " + i.Err.Error()
			}
			rows = append(rows, []string{"-", i.ClientID, "-", "-", "-", "-", note})
		}
		for _, pool := range pools {
			if p.topic != "" && pool.Topic != p.topic {
				continue
			}
			workers := strconv.Itoa(pool.Core)
			if pool.Paused {
				workers += " paused"
			}
			rows = append(rows, []string{
				pool.Topic, i.ClientID, workers, strconv.Itoa(pool.Max), strconv.Itoa(pool.Active), strconv.Itoa(pool.Waiting), settingsText(i, c.state, c.now),
			})
		}
	}
	slices.SortStableFunc(rows, func(x, y []string) int { return cmp.Compare(x[0], y[0]) })
	return rows
}

// settingsText tells how an instance's settings stand to the document that counts.
func settingsText(i admin.Instance, state admin.SettingsState, now time.Time) string {
	s, has := i.Info.Settings()
	var text string
	switch {
	case !has || s.Elsewhere():
		return without(i)
	case s.Rev == state.Current.Rev && (s.Rev == 0 || !state.InForce(now)):
		text = "none"
	case s.Rev == state.Current.Rev:
		text = "applied"
	case s.Rev == 0:
		text = "none yet"
	default:
		text = fmt.Sprintf("revision %d", s.Rev)
	}
	if state.Current.Rev != 0 && s.ErrorRev == state.Current.Rev {
		text += ", refused the newest"
	}
	return text
}

func (p *poolShow) report(c *change) reportJSON {
	r := reportJSON{documentJSON: document(c.state.ID, c.state.Current, c.now), NameServers: serversJSON(c.state.Servers), Live: len(c.live)}
	for _, i := range c.live {
		s, _ := i.Info.Settings()
		j := instanceJSON{ClientID: i.ClientID, Language: i.Language, Version: i.Version, Revision: s.Rev, Pools: poolsJSON(i)}
		if p.topic != "" {
			j.Pools = slices.DeleteFunc(j.Pools, func(pool poolJSON) bool { return pool.Topic != p.topic })
		}
		switch j.Detail = settingsText(i, c.state, c.now); {
		case i.Err != nil:
			j.Detail = i.Err.Error()
		case j.Detail == "applied":
			j.Status, j.Detail = "applied", ""
			r.Applied++
		case s.Error != "":
			j.Detail = refusal(s)
		}
		r.Instances = append(r.Instances, j)
	}
	return r
}
