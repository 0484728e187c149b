package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/tenant"
)

// groupFlags say which group a command is about, and how it prints.
type groupFlags struct {
	shared *connection
	tenant string
	group  string
	output string
}

func (g *groupFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVarP(&g.group, "group", "g", "", "the consumer group (required)")
	flags.StringVar(&g.tenant, "tenant", "", "the tenant that the group belongs to (default $ROCKETKIT_TENANT)")
	flags.StringVarP(&g.output, "output", "o", "text", "what to print: text or json")
	// The flags exist, so none of these fails.
	_ = command.RegisterFlagCompletionFunc("group", g.completeGroups)
	_ = command.RegisterFlagCompletionFunc("tenant", cobra.NoFileCompletions)
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (g *groupFlags) check() error {
	switch {
	case g.group == "":
		return usage("--group is missing: name the consumer group")
	case g.output != "text" && g.output != "json":
		return usage("--output %q is neither text nor json", g.output)
	}
	if _, err := tenant.New(g.tenant); err != nil {
		return usage("--tenant: %w", err)
	}
	return nil
}

func (g *groupFlags) json() bool { return g.output == "json" }

// tenantName is the tenant as the flag or the environment says it.
func (g *groupFlags) tenantName() string {
	if g.tenant != "" || g.shared.console.lookup == nil {
		return g.tenant
	}
	name, _ := g.shared.console.lookup("ROCKETKIT_TENANT")
	return strings.TrimSpace(name)
}

// again is a command for this group, to be shown in a hint.
func (g *groupFlags) again(command string) string {
	text := "rocketkit " + command + " -g " + g.group
	if g.tenant != "" {
		text += " --tenant " + g.tenant
	}
	if g.shared.nameServers != "" { // without it, it might go to another cluster
		text += " --namesrv " + quote(g.shared.nameServers)
	}
	return text
}

// open checks the flags and connects.
func (g *groupFlags) open() (*rocketkit.Client, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.shared.open(g.tenantName())
}

// read gives the group's document. That some name servers don't answer is told on the side: what the others have counts.
func (g *groupFlags) read(ctx context.Context, a *admin.Admin, side io.Writer) (admin.SettingsState, error) {
	state, err := a.Settings(g.group).Read(ctx)
	if err != nil && !anyAnswered(state) {
		return state, argument(err)
	}
	for _, s := range state.Servers {
		switch {
		case damaged(s):
			_, _ = fmt.Fprintf(side, "name server %s has a document that counts for nothing: %s\n", s.Address, clean(s.Err.Error()))
		case s.Err != nil:
			_, _ = fmt.Fprintf(side, "name server %s doesn't answer: %s\n", s.Address, clean(s.Err.Error()))
		}
	}
	return state, nil
}

// damaged tells whether a name server has a document that can't be taken.
func damaged(s admin.SettingsServer) bool {
	var refusal *dynconf.Refusal
	return errors.As(s.Err, &refusal)
}

func anyAnswered(state admin.SettingsState) bool {
	return slices.ContainsFunc(state.Servers, func(s admin.SettingsServer) bool { return s.Current || s.Rev != 0 || damaged(s) })
}

// argument gives an error of an argument the status of wrong usage.
func argument(err error) error {
	if errors.Is(err, rocketkit.ErrConfig) {
		return outcome{err, statusUsage}
	}
	return err
}

// printJSON writes a value as people and programs read it.
func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// completionTimeout bounds how long a shell waits for names.
const completionTimeout = 1500 * time.Millisecond

// completeGroups offers the groups of the tenant.
func (g *groupFlags) completeGroups(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return g.complete(command.Context(), typed, func(ctx context.Context, a *admin.Admin) []string {
		names, _ := a.ListGroups(ctx) // what could be had
		return names
	})
}

// completeTopics offers the topics that the group's members subscribe to.
func (g *groupFlags) completeTopics(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return g.complete(command.Context(), typed, func(ctx context.Context, a *admin.Admin) []string {
		connections, _ := a.Connections(ctx, g.group)
		return topicsOf(connections.Subscriptions)
	})
}

func (g *groupFlags) complete(ctx context.Context, typed string, names func(context.Context, *admin.Admin) []string) ([]string, cobra.ShellCompDirective) {
	client, err := g.shared.openQuietly(g.tenantName())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	fitting := slices.DeleteFunc(names(ctx, admin.New(client)), func(name string) bool { return !strings.HasPrefix(name, typed) })
	return fitting, cobra.ShellCompDirectiveNoFileComp
}

// topicsOf gives the topics of subscriptions but the group's own.
func topicsOf(subscriptions []admin.Subscription) []string {
	var topics []string
	for _, s := range subscriptions {
		if !strings.HasPrefix(s.Topic, "%") {
			topics = append(topics, s.Topic)
		}
	}
	return topics
}
