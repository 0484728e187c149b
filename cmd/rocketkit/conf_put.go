package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// confPut is `rocketkit conf put` with its flags.
type confPut struct {
	changeFlags
	lasts        string
	allowUnknown bool
}

func confPutCommand(shared *connection) *cobra.Command {
	p := &confPut{changeFlags: changeFlags{groupFlags: groupFlags{shared: shared}}}
	command := &cobra.Command{
		Use:   "put -g <group> <file>",
		Short: "Replace a group's settings by those in a file",
		Long: `Replace a group's settings by those in a file, - for standard input. They are JSON:

  {"attempts": 8, "topics": {"orders": {"workers": 16, "maxWorkers": 64, "timeout": "30s"}}}

What the file leaves out is as the program has it. The settings are checked, also against the topics that live instances
receive, the difference is shown, and then all goes as with rocketkit pool set, with the same statuses. They may be written
before the first instance starts.`,
		Example: `  rocketkit conf put -g billing billing.json
  rocketkit conf put -g billing billing.json --for 2h --dry-run
  rocketkit conf put -g billing - --yes --key-file operators.key   # from standard input`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage("%s takes one file, or - for standard input; see %[1]s --help", command.CommandPath())
			}
			return nil
		},
		RunE: func(command *cobra.Command, args []string) error { return p.execute(command, args[0]) },
	}
	p.add(command)
	flags := command.Flags()
	flags.StringVar(&p.lasts, "for", "", "how long they hold, such as 30m; then the program's own do again (default never ends)")
	flags.BoolVar(&p.allowUnknown, "allow-unknown", false, "take settings and topics that nobody knows yet: instances ignore them")
	_ = command.RegisterFlagCompletionFunc("for", cobra.NoFileCompletions) // the flag exists
	return command
}

func (p *confPut) execute(command *cobra.Command, file string) error {
	lasts, _, err := parseFor(p.lasts)
	switch {
	case err != nil:
		return err
	case file == "-" && !p.yes && !p.dryRun:
		return usage("- reads standard input, so nobody can be asked: add --yes or --dry-run")
	}
	spec, err := readSpec(command.InOrStdin(), file)
	if err != nil {
		return err
	}
	return p.run(command, func(c *change) (admin.SettingsDraft, error) {
		draft := admin.SettingsDraft{Spec: spec, Over: c.over()}
		if lasts > 0 {
			draft.Expires, c.holds = c.now.Add(lasts), lasts
		}
		if err := c.checkSpec(file, spec, p.allowUnknown); err != nil {
			return draft, err
		}
		if len(c.topics()) == 0 || p.allowUnknown {
			return draft, nil
		}
		for _, topic := range topicsIn(spec) {
			if !slices.Contains(c.topics(), topic) && !slices.Contains(topicsIn(c.inForce()), topic) {
				return draft, usage("%s: topics.%s: no live instance of group %s receives it; %s (if one soon will, add --allow-unknown)",
					file, topic, c.group, didYouMean("topic", topic, c.topics()))
			}
		}
		return draft, nil
	})
}

// readSpec reads settings from a file or standard input.
func readSpec(in io.Reader, file string) (json.RawMessage, error) {
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, usage("%w", err)
		}
		defer f.Close() //nolint:errcheck // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, dynconf.MaxRead+1))
	switch {
	case err != nil:
		return nil, usage("%s: %w", file, err)
	case len(text) > dynconf.MaxRead:
		return nil, usage("%s: more than %d bytes are no settings", file, dynconf.MaxRead)
	}
	var spec json.RawMessage
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, usage("%s: %w", file, jsonError(text, err))
	}
	return spec, nil
}

// jsonError says where JSON is wrong.
func jsonError(text []byte, err error) error {
	if syntax, ok := err.(*json.SyntaxError); ok { //nolint:errorlint // json.Unmarshal returns it as it is
		line := 1
		for _, c := range text[:min(int(syntax.Offset), len(text))] {
			if c == '\n' {
				line++
			}
		}
		return fmt.Errorf("line %d: %w", line, err)
	}
	return err
}
