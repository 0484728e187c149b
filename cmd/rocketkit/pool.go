package main

import "github.com/spf13/cobra"

func poolCommand(shared *connection) *cobra.Command {
	command := &cobra.Command{
		Use:   "pool",
		Short: "The workers of a group's instances, and how many there shall be",
		Args:  noArguments,
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(poolShowCommand(shared), poolSetCommand(shared))
	return command
}
