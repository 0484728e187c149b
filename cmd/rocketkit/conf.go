package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
)

func confCommand(shared *connection) *cobra.Command {
	command := &cobra.Command{
		Use:   "conf",
		Short: "The settings documents of groups, which instances follow while they run",
		Args:  noArguments,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(confGetCommand(shared), confPutCommand(shared), confRepairCommand(shared), confDeleteCommand(shared))
	return command
}

func confGetCommand(shared *connection) *cobra.Command {
	g := &groupFlags{shared: shared}
	command := &cobra.Command{
		Use:   "get -g <group>",
		Short: "Print a group's settings, and say where name servers differ",
		Long: `Print a group's settings as JSON, ready for rocketkit conf put. What is known of them goes to standard error; -o json
prints that too, and what each name server has.

It ends with status 0 when every name server has these settings, 4 when one differs, and 1 when there are none.`,
		Example: `  rocketkit conf get -g billing
  rocketkit conf get -g billing > billing.json      # to be changed, and put back by rocketkit conf put
  rocketkit conf get -g billing --tenant red -o json`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return g.get(command) },
	}
	g.add(command)
	return command
}

func (g *groupFlags) get(command *cobra.Command) error {
	client, err := g.open()
	if err != nil {
		return err
	}
	ctx := command.Context()
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	state, err := g.read(ctx, admin.New(client), command.ErrOrStderr())
	if err != nil {
		return err
	}
	now, out := time.Now(), command.OutOrStdout()
	switch {
	case g.json():
		r := reportJSON{documentJSON: document(state.ID, state.Current, now), NameServers: serversJSON(state.Servers)}
		if err := printJSON(out, struct {
			documentJSON
			NameServers []serverJSON `json:"nameServers"`
		}{r.documentJSON, r.NameServers}); err != nil {
			return err
		}
	case state.InForce(now):
		_, _ = fmt.Fprintf(command.ErrOrStderr(), "Settings of %s: %s\n", state.ID, stateText(state, now))
		if err := printJSON(out, state.Current.Spec); err != nil {
			return err
		}
	}
	if !state.InForce(now) {
		return fmt.Errorf("settings of %s: %s", state.ID, stateText(state, now))
	}
	if differ := differing(state); differ != "" {
		return outcome{fmt.Errorf("name servers differ (%s); run %s", differ, g.again("conf repair")), statusMissed}
	}
	return nil
}

// differing names the name servers that haven't the document that counts.
func differing(state admin.SettingsState) string {
	var texts []string
	for _, s := range state.Servers {
		if !s.Current {
			texts = append(texts, s.Address+": "+heldText(s))
		}
	}
	return strings.Join(texts, ", ")
}

func confDeleteCommand(shared *connection) *cobra.Command {
	f := &changeFlags{groupFlags: groupFlags{shared: shared}}
	command := &cobra.Command{
		Use:   "delete -g <group>",
		Short: "Delete a group's settings, so that the program's own hold",
		Long: `Delete a group's settings, so that the program's own hold on all instances. It shows what goes, asks, writes a document
that says so to every name server, and watches the instances, as rocketkit pool set does, with the same statuses.
rocketkit pool set --undo brings them back.`,
		Example: `  rocketkit conf delete -g billing
  rocketkit conf delete -g billing --tenant red --yes`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			return f.run(command, func(c *change) (admin.SettingsDraft, error) {
				return admin.SettingsDraft{Deleted: true, Over: c.over()}, nil
			})
		},
	}
	f.add(command)
	return command
}

func confRepairCommand(shared *connection) *cobra.Command {
	g := &groupFlags{shared: shared}
	command := &cobra.Command{
		Use:   "repair -g <group>",
		Short: "Give name servers that lack a group's settings what the others have",
		Long: `Give name servers that lack a group's settings, or have older ones, what the others have: the highest revision. What is in
force doesn't change, so it doesn't ask, and needs no key. Name servers don't tell each other: one that was down while
settings were written, or has lost its table, stays behind until it is repaired or the settings are written again.

It ends with status 0 when every name server has them, 4 when one still lacks them, and 1 when there are none.`,
		Example: `  rocketkit conf repair -g billing
  rocketkit conf repair -g billing --tenant red`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return g.repair(command) },
	}
	g.add(command)
	return command
}

func (g *groupFlags) repair(command *cobra.Command) error {
	client, err := g.open()
	if err != nil {
		return err
	}
	ctx := command.Context()
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	a := admin.New(client)
	before, err := g.read(ctx, a, command.ErrOrStderr())
	if err != nil {
		return err
	}
	after, err := a.Settings(g.group).Repair(ctx)
	var partial *admin.PartialError
	if err != nil && (!errors.As(err, &partial) || len(partial.Done) == 0) {
		return argument(err)
	}
	if g.json() {
		if err := printJSON(command.OutOrStdout(), reportJSON{
			documentJSON: document(after.ID, after.Current, time.Now()), NameServers: serversJSON(after.Servers),
		}); err != nil {
			return err
		}
	} else if err := table(command.OutOrStdout(), []string{"NAME SERVER", "BEFORE", "NOW"}, repairRows(before, after)); err != nil {
		return err
	}
	if partial != nil {
		return outcome{fmt.Errorf("the settings are still missed by %s", missing(partial, before)), statusMissed}
	}
	return nil
}

func repairRows(before, after admin.SettingsState) [][]string {
	var rows [][]string
	for i, s := range after.Servers {
		was := "-"
		if i < len(before.Servers) && before.Servers[i].Address == s.Address {
			was = heldText(before.Servers[i])
		}
		rows = append(rows, []string{s.Address, was, heldText(s)})
	}
	return rows
}

func heldText(s admin.SettingsServer) string {
	switch {
	case s.Rev != 0:
		return fmt.Sprintf("revision %d", s.Rev)
	case damaged(s):
		return "damaged"
	case s.Err != nil:
		return "no answer"
	}
	return "none"
}
