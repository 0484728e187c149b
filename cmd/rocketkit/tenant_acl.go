package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
)

// tenantACL is `rocketkit tenant acl` with its flags.
type tenantACL struct {
	shared *connection
	access access

	cluster      string
	output       string
	passwordFile string

	apply, dryRun, yes, prune bool
}

func tenantACLCommand(shared *connection) *cobra.Command {
	a := &tenantACL{shared: shared}
	command := &cobra.Command{
		Use:   "acl --tenant <tenant> [--user <user>]",
		Short: "Compile a tenant into ACL rules, and set them",
		Long: `Compile a tenant into the rules of RocketMQ's ACL 2.0 (5.3.0 and newer) that confine a user to it.

Without --apply it prints mqadmin's commands, or JSON, and connects to nobody. With --apply it reads what every
broker has, replicas included, shows the difference, asks, and sets what is missing. It may be repeated.

The user may send, consume, read and reset what begins with the tenant's prefix, its dead letters and message traces
included. docs/tenants.md lists what RocketMQ doesn't check.`,
		Example: `  rocketkit tenant acl --tenant red                                   # mqadmin commands for user red
  rocketkit tenant acl --tenant red --user billing -o json            # the rules alone
  rocketkit tenant acl --tenant red --apply --dry-run                 # what would change on which broker
  rocketkit tenant acl --tenant red --apply --password-file red.key   # create the user too, if it is missing
  rocketkit tenant acl --tenant red --apply --manage-topics --yes     # let it create and delete its topics; don't ask`,
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error { return a.run(command) },
	}
	flags := command.Flags()
	flags.StringVar(&a.access.Tenant, "tenant", "", "the tenant (required)")
	flags.StringVar(&a.access.User, "user", "", "the user, which is the access key (default: the tenant's name)")
	flags.StringSliceVar(&a.access.From, "allow-from", nil, "addresses or CIDR blocks that the user may come from (default: any)")
	flags.StringVar(&a.access.TraceTopic, "trace-topic", "", "a shared topic that the tenant's other clients write message traces to, such as RMQ_SYS_TRACE_TOPIC (default: none)")
	flags.BoolVar(&a.access.ManageTopics, "manage-topics", false, "let the user create and delete its topics and groups")
	flags.StringVar(&a.cluster, "cluster", "DefaultCluster", "the cluster's name in mqadmin's commands")
	flags.StringVarP(&a.output, "output", "o", "mqadmin", "what to print: mqadmin or json")
	flags.BoolVar(&a.apply, "apply", false, "set the rules on every broker")
	flags.BoolVar(&a.dryRun, "dry-run", false, "with --apply: show the difference and stop")
	flags.BoolVarP(&a.yes, "yes", "y", false, "with --apply: don't ask")
	flags.BoolVar(&a.prune, "prune", false, "with --apply: remove the user's other rules")
	flags.StringVar(&a.passwordFile, "password-file", "", "with --apply: file with the secret key for a user to be created; - for standard input, with --yes")
	// The flags exist, so none of these fails.
	_ = command.MarkFlagFilename("password-file")
	_ = command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"mqadmin", "json"}, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"tenant", "user", "allow-from", "trace-topic", "cluster"} {
		_ = command.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return command
}

func (a *tenantACL) run(command *cobra.Command) error {
	if err := a.check(); err != nil {
		return err
	}
	rules, err := a.access.rules()
	if err != nil {
		return err
	}
	out := command.OutOrStdout()
	switch {
	case a.apply:
		return a.set(command.Context(), command.InOrStdin(), out, rules)
	case a.output == "json":
		return writeJSON(out, a.access, rules)
	}
	_, err = io.WriteString(out, a.access.commands(a.cluster, rules))
	return err
}

func (a *tenantACL) check() error {
	if a.access.User == "" {
		a.access.User = a.access.Tenant
	}
	switch {
	case a.output != "mqadmin" && a.output != "json":
		return usage("--output %q is neither mqadmin nor json", a.output)
	case !a.apply && (a.dryRun || a.yes || a.prune || a.passwordFile != ""):
		return usage("--dry-run, --yes, --prune and --password-file go with --apply")
	case a.apply && a.output == "json":
		return usage("--output json goes without --apply")
	case a.passwordFile == "-" && !a.yes:
		return usage("--password-file - reads standard input, so nobody can be asked: add --yes")
	}
	return nil
}

// set shows what differs on the brokers, asks, and sets it.
func (a *tenantACL) set(ctx context.Context, in io.Reader, out io.Writer, rules []admin.AccessRule) error {
	client, err := a.shared.open("")
	if err != nil {
		return err
	}
	defer client.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is lost by it
	brokers := admin.New(client)
	have, err := brokers.Access(ctx, a.access.User)
	if err != nil {
		return err
	}
	changes, err := a.compare(have, rules)
	if err != nil {
		return err
	}
	if len(changes.rows) > 0 {
		if err := table(out, []string{"BROKER", "CHANGE", "RESOURCE", "ACTIONS"}, changes.rows); err != nil {
			return err
		}
	}
	if !changes.any {
		_, _ = fmt.Fprintf(out, "User %s has the rules of tenant %s on all of %d brokers: nothing to do.\n", a.access.User, a.access.Tenant, len(have))
		return nil
	}
	if a.dryRun {
		return nil
	}
	password, err := a.password(in, changes)
	if err != nil {
		return err
	}
	if !a.yes {
		if err := confirm(ctx, in, out, fmt.Sprintf("Change %s?", strings.Join(changes.brokers, ", "))); err != nil {
			return err
		}
	}
	if err := a.carryOut(ctx, brokers, changes, password, rules); err != nil {
		return err
	}
	return a.verify(ctx, brokers, out, rules)
}

func (a *tenantACL) carryOut(ctx context.Context, brokers *admin.Admin, changes changes, password string, rules []admin.AccessRule) error {
	if changes.create {
		if err := brokers.CreateUser(ctx, a.access.User, password); err != nil {
			return err
		}
	}
	if err := brokers.Grant(ctx, a.access.User, rules); err != nil {
		return err
	}
	if len(changes.revoke) > 0 {
		return brokers.Revoke(ctx, a.access.User, changes.revoke)
	}
	return nil
}

// verify reads back, since each broker keeps its own rules.
func (a *tenantACL) verify(ctx context.Context, brokers *admin.Admin, out io.Writer, rules []admin.AccessRule) error {
	have, err := brokers.Access(ctx, a.access.User)
	if err != nil {
		return fmt.Errorf("the rules were set, but can't be read back: %w", err)
	}
	left, err := a.compare(have, rules)
	if err != nil {
		return err
	}
	if left.any {
		return fmt.Errorf("%s lack some of the rules after all were set: another operator may be at it; run this again", strings.Join(left.brokers, ", "))
	}
	_, _ = fmt.Fprintf(out, "User %s has the rules of tenant %s on all of %d brokers.\n", a.access.User, a.access.Tenant, len(have))
	return nil
}

// password reads the secret key for a user that is to be created.
func (a *tenantACL) password(in io.Reader, changes changes) (string, error) {
	if !changes.create {
		return "", nil
	}
	var text []byte
	var err error
	switch a.passwordFile {
	case "":
		return "", usage("user %s is to be created: give the secret key that it is to have by --password-file", a.access.User)
	case "-":
		text, err = io.ReadAll(io.LimitReader(in, 4<<10))
	default:
		text, err = os.ReadFile(a.passwordFile)
	}
	if err != nil {
		return "", fmt.Errorf("--password-file: %w", err)
	}
	password := strings.TrimSpace(string(text))
	if password == "" {
		return "", usage("--password-file: %s is empty", a.passwordFile)
	}
	return password, nil
}

func writeJSON(out io.Writer, access access, rules []admin.AccessRule) error {
	type rule struct {
		Resource  string   `json:"resource"`
		Actions   []string `json:"actions"`
		SourceIPs []string `json:"sourceIps,omitempty"`
		Decision  string   `json:"decision"`
	}
	document := struct {
		Tenant string `json:"tenant"`
		User   string `json:"user"`
		Rules  []rule `json:"rules"`
	}{Tenant: access.Tenant, User: access.User}
	for _, r := range rules {
		document.Rules = append(document.Rules, rule{r.Resource, r.Actions, r.SourceIPs, "Allow"})
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}
