package main

import (
	"context"
	"fmt"
	"slices"
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
		if err := printJSON(out, heldJSON{document(state.ID, state.Current, now), serversJSON(state.Servers)}); err != nil {
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
		then := "run"
		if slices.ContainsFunc(state.Servers, func(s admin.SettingsServer) bool { return s.Err != nil && !damaged(s) }) {
			then = "once all answer, run"
		}
		return outcome{fmt.Errorf("name servers differ (%s); %s %s", differ, then, g.again("conf repair")), statusMissed}
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
