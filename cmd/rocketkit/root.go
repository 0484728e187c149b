package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit"
)

// root makes the command that all others are below. A new one has a file of its own and a line here.
func (c console) root() *cobra.Command {
	command := &cobra.Command{
		Use:   "rocketkit",
		Short: "Operate a RocketMQ cluster and what rocketkit keeps on it",
		Long: `Operate a RocketMQ cluster and what rocketkit keeps on it.

Which cluster, and as whom, comes from the environment, as for every program on rocketkit:

  ROCKETKIT_NAMESRV        host:port of the name servers, several joined by ';' (or --namesrv), or
                           ROCKETKIT_NAMESRV_URL, an address server that tells them
  ROCKETKIT_ACCESS_KEY     and ROCKETKIT_SECRET_KEY, or their _FILE forms, where brokers have ACLs
  ROCKETKIT_TLS            on where servers speak TLS; ROCKETKIT_TLS_CA, _CERT, _KEY and _SERVER_NAME go with it
  ROCKETKIT_TENANT         the tenant whose groups pool and conf are about (or --tenant)
  ROCKETKIT_SETTINGS_KEYS  the public keys that settings must be signed with, where services ask for that

It ends with status 0 when all was done, 1 when something failed, 2 when it was called wrongly, 3 when you said no, and,
where it has written settings, 4 when they are in force but a name server has missed them, 5 when not every live instance
has applied them in time.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		if words := command.Flags().Args(); command.HasSubCommands() && len(words) > 0 { // of a command that isn't there
			return noArguments(command, words)
		}
		return usage("%w; see %s --help", err, command.CommandPath())
	})
	shared := &connection{console: c}
	command.PersistentFlags().StringVar(&shared.nameServers, "namesrv", "", "name servers, host:port joined by ';' (default $ROCKETKIT_NAMESRV, or as $ROCKETKIT_NAMESRV_URL tells)")
	_ = command.RegisterFlagCompletionFunc("namesrv", cobra.NoFileCompletions) // the flag exists
	command.AddCommand(poolCommand(shared), confCommand(shared), keysCommand(shared), tenantCommand(shared))
	return command
}

// noArguments refuses words that no command is called by.
func noArguments(command *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case command.HasSubCommands():
		var names []string
		for _, c := range command.Commands() {
			if c.IsAvailableCommand() {
				names = append(names, c.Name())
			}
		}
		return usage("%s takes no %q; %s; see %[1]s --help", command.CommandPath(), args[0], didYouMean("command", args[0], names))
	}
	return usage("%s takes no %q; see %[1]s --help", command.CommandPath(), args[0])
}

// connection is what commands reach the cluster by: the environment, under the flags that all share.
type connection struct {
	console     console
	nameServers string
}

// open opens a client for a tenant, whatever ROCKETKIT_TENANT says; "" sees names as brokers do.
func (c *connection) open(tenant string) (*rocketkit.Client, error) {
	// What an operator must know is in the errors; connections that come and go are not.
	return c.openLogging(tenant, slog.NewTextHandler(c.console.err, &slog.HandlerOptions{Level: slog.LevelError}))
}

// openQuietly is open for a shell's completion, which would show what is logged.
func (c *connection) openQuietly(tenant string) (*rocketkit.Client, error) {
	return c.openLogging(tenant, slog.DiscardHandler)
}

func (c *connection) openLogging(tenant string, log slog.Handler) (*rocketkit.Client, error) {
	cfg, err := rocketkit.FromEnv(func(name string) (string, bool) {
		switch {
		case name == "ROCKETKIT_NAMESRV" && c.nameServers != "":
			return c.nameServers, true
		case name == "ROCKETKIT_NAMESRV_URL" && c.nameServers != "":
			return "", false
		}
		switch name {
		case "ROCKETKIT_TENANT":
			return tenant, true
		case "ROCKETKIT_TRACE", "ROCKETKIT_TRACE_TOPIC", "ROCKETKIT_SETTINGS", "ROCKETKIT_SETTINGS_CACHE": // of consumers and producers
			return "", false
		}
		return c.console.lookup(name)
	})
	if err != nil {
		return nil, usage("%w", err)
	}
	cfg.Logger = slog.New(log)
	return rocketkit.Open(cfg)
}

// confirm asks whether to go on; only a y or yes is one.
func confirm(ctx context.Context, in io.Reader, out io.Writer, question string) error {
	_, _ = fmt.Fprintf(out, "%s [y/N] ", question)
	type reply struct {
		text string
		err  error
	}
	replies := make(chan reply, 1)
	go func() {
		var r reply
		_, r.err = fmt.Fscanln(in, &r.text) // nothing is a no
		replies <- r
	}()
	select {
	case r := <-replies:
		switch text := strings.ToLower(r.text); {
		case text == "y" || text == "yes":
			return nil
		case text == "" && errors.Is(r.err, io.EOF):
			return fmt.Errorf("%w: nobody has answered; --yes doesn't ask", errRefused)
		}
		return errRefused
	case <-ctx.Done():
		return errRefused
	}
}

// table writes rows under a heading, in columns that line up.
func table(out io.Writer, heading []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{heading}, rows...) {
		for i, cell := range row {
			row[i] = strings.ReplaceAll(clean(cell), "\n", " ")
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return w.Flush()
}
