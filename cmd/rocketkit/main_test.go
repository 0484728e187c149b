package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/rocketkit/rocketkit/mqtest"
)

// call runs the program without a terminal.
func call(t *testing.T, env map[string]string, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = console{in: strings.NewReader(""), out: &stdout, err: &stderr, lookup: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}.run(t.Context(), args)
	return status, stdout.String(), stderr.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ args, says string }{
		{"tenat", `takes no "tenat"; did you mean tenant?; see rocketkit --help`},
		{"pool sett -g billing -t orders --workers 3", `rocketkit pool takes no "sett"; did you mean set?; see rocketkit pool --help`},
		{"conf -g billing", "see rocketkit conf --help"},
		{"tenant acl", "--tenant is missing"},
		{"tenant acl red", `takes no "red"`},
		{"tenant acl --tenant Red", "--tenant: "},
		{"tenant acl --tennant red", "see rocketkit tenant acl --help"},
		{"tenant acl --tenant red --user a:b", "--user"},
		{"tenant acl --tenant red --allow-from home", "--allow-from"},
		{"tenant acl --tenant red -o yaml", "neither mqadmin nor json"},
		{"tenant acl --tenant red --yes", "go with --apply"},
		{"tenant acl --tenant red --apply -o json", "without --apply"},
		{"tenant acl --tenant red --apply --password-file -", "add --yes"},
		{"tenant acl --tenant red --apply", "ROCKETKIT_NAMESRV"},
		{"tenant acl --tenant red --apply --namesrv x", "ROCKETKIT_NAMESRV"},
		{"pool shwo", `takes no "shwo"`},
		{"pool show", "--group is missing"},
		{"pool show -g billing -o yaml", "neither text nor json"},
		{"pool show -g billing", "ROCKETKIT_NAMESRV"},
		{"pool show -g billing --tenant Red", "--tenant: "},
		{"pool set -t orders --workers 3", "--group is missing"},
		{"pool set -g billing --workers 3", "--topic is missing"},
		{"pool set -g billing -t orders", "nothing to change: give --workers"},
		{"pool set -g billing -t orders --workers many", "see rocketkit pool set --help"},
		{"pool set -g billing -t orders --workers 3 -o json", "--output json goes with --yes"},
		{"pool set -g billing -t orders --workers 3 --for 30", `--for "30" is neither a duration`},
		{"pool set -g billing -t orders --workers 3 --timeout -1s", "--timeout -1s is negative"},
		{"pool set -g billing -t orders --workers 3 --key-file none", "--key-file: "},
		{"pool set -g billing -t orders --pause --resume", "exclude each other"},
		{"pool set -g billing -t orders --reset --max 3", "--reset takes"},
		{"pool set -g billing -t orders --undo", "--undo takes back all"},
		{"pool set -g billing --undo --for 1h", "--undo takes back all"},
		{"conf get", "--group is missing"},
		{"conf put -g billing", "takes one file"},
		{"conf put -g billing -", "nobody can be asked"},
		{"conf put -g billing nowhere.json", "nowhere.json"},
		{"conf repair -g billing all", `takes no "all"`},
		{"keys new", "takes the file"},
	} {
		status, out, errs := call(t, nil, strings.Fields(test.args)...)
		if status != statusUsage || out != "" || !strings.Contains(errs, test.says) || strings.Count(errs, "\n") != 1 {
			t.Errorf("rocketkit %s: status %d, %q, %q; wants 2 and %q", test.args, status, out, errs, test.says)
		}
	}
}

func TestRulesAsCommands(t *testing.T) {
	t.Parallel()
	status, out, errs := call(t, nil, "tenant", "acl", "--tenant", "red", "--user", "ann", "--allow-from", "10.0.0.0/8,::1", "--manage-topics", "--cluster", "c 1")
	want := `# Tenant red for user ann. Run these as a super user; createUser only where the user is missing.
mqadmin createUser -n "$NAMESRV_ADDR" -c 'c 1' -u 'ann' -p "$SECRET_KEY" -t Normal
mqadmin updateAcl -n "$NAMESRV_ADDR" -c 'c 1' -s 'User:ann' -r 'Topic:red%*' -a Pub,Sub,Get,Update,Create,Delete -d Allow -i '10.0.0.0/8,::1'
mqadmin updateAcl -n "$NAMESRV_ADDR" -c 'c 1' -s 'User:ann' -r 'Group:red%*' -a Sub,Get,Update,Create,Delete -d Allow -i '10.0.0.0/8,::1'
mqadmin updateAcl -n "$NAMESRV_ADDR" -c 'c 1' -s 'User:ann' -r 'Topic:%DLQ%red%*' -a Sub,Get,Update -d Allow -i '10.0.0.0/8,::1'
`
	if status != 0 || out != want || errs != "" {
		t.Errorf("status %d, %s\n%s", status, errs, out)
	}
}

func TestRulesAsJSON(t *testing.T) {
	t.Parallel()
	status, out, errs := call(t, nil, "tenant", "acl", "--tenant", "red", "-o", "json")
	if status != 0 || errs != "" || !strings.Contains(out, `"resource": "Topic:%DLQ%red%*"`) || strings.Contains(out, "TRACE") || !strings.Contains(out, `"user": "red"`) {
		t.Errorf("status %d, %s\n%s", status, errs, out)
	}
}

// TestClusterWithoutAccessControl: brokers that know no ACL 2.0 are named, with what they answered.
func TestClusterWithoutAccessControl(t *testing.T) {
	t.Parallel()
	cluster := mqtest.New(t, mqtest.Config{TCP: true})
	status, out, errs := call(t, map[string]string{"ROCKETKIT_NAMESRV": strings.Join(cluster.Addresses(), ";"), "ROCKETKIT_TENANT": "Not a tenant"},
		"tenant", "acl", "--tenant", "red", "--apply", "--yes")
	if status != statusFailed || out != "" || !strings.Contains(errs, "AUTH_GET_USER (3004)") || !strings.Contains(errs, "5.3.0 or newer") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
}

// TestFlagInsteadOfAddressServer: --namesrv counts whatever the environment says of name servers and of the tenant's traces.
func TestFlagInsteadOfAddressServer(t *testing.T) {
	t.Parallel()
	cluster := mqtest.New(t, mqtest.Config{TCP: true})
	env := map[string]string{
		"ROCKETKIT_NAMESRV_URL": "http://127.0.0.1:1/nsaddr", "ROCKETKIT_TENANT": "red", "ROCKETKIT_TRACE": "perhaps", "ROCKETKIT_TRACE_TOPIC": "red%traces",
	}
	status, _, errs := call(t, env, "tenant", "acl", "--tenant", "red", "--apply", "--yes", "--namesrv", strings.Join(cluster.Addresses(), ";"))
	if status != statusFailed || !strings.Contains(errs, "5.3.0 or newer") {
		t.Errorf("status %d, %q", status, errs)
	}
}

// TestHelp: every command has a short text, examples that parse, and flags that say what they do.
func TestHelp(t *testing.T) {
	t.Parallel()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Short == "" {
			t.Errorf("%s says nothing of itself", c.CommandPath())
		}
		if !c.HasSubCommands() && c.Runnable() && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), "#")
			words := strings.Fields(command)
			if len(words) == 0 || words[0] != "rocketkit" {
				t.Errorf("%s: example %q", c.CommandPath(), line)
				continue
			}
			found, rest, err := console{}.root().Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err != nil || found.CommandPath() != c.CommandPath() {
				t.Errorf("%s: example %q: %v", c.CommandPath(), line, err)
			}
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(console{}.root())
	for _, args := range [][]string{{}, {"tenant"}, {"tenant", "acl", "--help"}, {"completion", "bash"}} {
		if status, out, errs := call(t, nil, args...); status != 0 || out == "" || errs != "" {
			t.Errorf("%v: status %d, %q", args, status, errs)
		}
	}
}
