package main

import "github.com/spf13/cobra"

func tenantCommand(shared *connection) *cobra.Command {
	command := &cobra.Command{
		Use:   "tenant",
		Short: "What concerns one tenant of the cluster",
		Args:  noArguments,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(tenantACLCommand(shared))
	return command
}
