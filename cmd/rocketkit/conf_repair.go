package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
)

// confRepair is `rocketkit conf repair` with its flags.
type confRepair struct {
	groupFlags
	all bool

	out, err io.Writer
	repaired []heldJSON // what --all prints with -o json
}

func confRepairCommand(shared *connection) *cobra.Command {
	r := &confRepair{groupFlags: groupFlags{shared: shared}}
	command := &cobra.Command{
		Use:   "repair {-g <group> | --all}",
		Short: "Give name servers that lack settings what the others have",
		Long: `Give name servers that lack a group's settings, or have older ones, what the others have: the highest revision. What is in
force doesn't change, so it doesn't ask, and needs no key. Name servers don't tell each other: one that was down while
settings were written, or has lost its table, stays behind until it is repaired or the settings are written again.

It ends with status 0 when every name server has them, 4 when one still lacks them, and 1 when there are none.`,
		Example: `  rocketkit conf repair -g billing
  rocketkit conf repair --all --tenant red    # all groups of the tenant, after a name server has lost its table`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			r.out, r.err = command.OutOrStdout(), command.ErrOrStderr()
			return r.execute(command.Context())
		},
	}
	r.add(command)
	command.Flags().BoolVar(&r.all, "all", false, "all groups of the tenant that have settings")
	return command
}

func (r *confRepair) execute(ctx context.Context) error {
	if r.all && r.group != "" {
		return usage("--all and --group exclude each other")
	}
	if r.all {
		r.group = "-" // so that none is asked for
	}
	client, err := r.open()
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	a := admin.New(client)
	if !r.all {
		return r.repair(ctx, a)
	}
	groups, err := a.SettingsGroups(ctx)
	if err != nil && len(groups) == 0 {
		return err
	}
	if len(groups) == 0 {
		return errors.New("no group has settings")
	}
	missed, failed := r.repairEach(ctx, a, groups)
	if r.json() {
		if err := printJSON(r.out, r.repaired); err != nil {
			return err
		}
	}
	switch {
	case failed != nil:
		return errors.Join(failed, missed)
	case missed != nil:
		return outcome{missed, statusMissed}
	}
	return nil
}

// repairEach repairs the settings of groups; missed is of those that a name server still lacks.
func (r *confRepair) repairEach(ctx context.Context, a *admin.Admin, groups []string) (missed, failed error) {
	r.repaired = []heldJSON{}
	for _, group := range groups {
		r.group = group
		var with outcome
		switch err := r.repair(ctx, a); {
		case errors.As(err, &with) && with.status == statusMissed:
			missed = errors.Join(missed, err)
		default:
			failed = errors.Join(failed, err)
		}
	}
	return missed, failed
}

// repair repairs one group's settings and prints what each name server had, and has now.
func (r *confRepair) repair(ctx context.Context, a *admin.Admin) error {
	before, err := r.read(ctx, a, r.err)
	if err != nil {
		return err
	}
	after, err := a.Settings(r.group).Repair(ctx)
	var partial *admin.PartialError
	if errors.Is(err, admin.ErrNoSettings) || err != nil && (!errors.As(err, &partial) || len(partial.Done) == 0) {
		return argument(err)
	}
	if err := r.print(before, after); err != nil {
		return err
	}
	if partial != nil {
		return outcome{fmt.Errorf("settings of %s: still missed by %s", after.ID, missing(partial, before)), statusMissed}
	}
	return nil
}

func (r *confRepair) print(before, after admin.SettingsState) error {
	held := heldJSON{document(after.ID, after.Current, time.Now()), serversJSON(after.Servers)}
	switch {
	case r.json() && r.all:
		r.repaired = append(r.repaired, held)
		return nil
	case r.json():
		return printJSON(r.out, held)
	case r.all:
		_, _ = fmt.Fprintf(r.out, "Settings of %s\n", after.ID)
	}
	if err := table(r.out, []string{"NAME SERVER", "BEFORE", "NOW"}, repairRows(before, after)); err != nil {
		return err
	}
	if r.all {
		_, _ = fmt.Fprintln(r.out)
	}
	return nil
}

func repairRows(before, after admin.SettingsState) [][]string {
	var rows [][]string
	for _, s := range after.Servers {
		was := "-"
		if i := slices.IndexFunc(before.Servers, func(b admin.SettingsServer) bool { return b.Address == s.Address }); i >= 0 {
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
