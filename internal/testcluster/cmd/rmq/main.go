//go:build unix

// Command rmq runs a real RocketMQ in the background, for programs to be tried
// against:
//
//	rmq up [-brokers 1] [-nameservers 1] [-replicas 0] [-version 5.5.0] [-autocreate]
//	rmq status
//	rmq down
//
// These are `make up` and `make down`. up prints the variables to export and
// leaves the cluster running; down ends it and removes all of it. Its state is
// the directory .cluster in the working directory: run the three from the same
// place. up needs java, and mvn the first time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

const usage = `usage: rmq up [flags] | status | down

  up      run a RocketMQ in the background and print the variables to export
  status  say what runs, with the same variables
  down    end it and remove its files

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rmq:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var cfg testcluster.Config
	flags := flag.NewFlagSet("rmq", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.IntVar(&cfg.Brokers, "brokers", 1, "number of masters")
	flags.IntVar(&cfg.NameServers, "nameservers", 1, "number of name servers")
	flags.IntVar(&cfg.Replicas, "replicas", 0, "replicas of each master")
	flags.StringVar(&cfg.Version, "version", "", "version of RocketMQ (default $"+testcluster.VersionVariable+", else "+testcluster.DefaultVersion+")")
	autoCreate := flags.Bool("autocreate", false, "let brokers create a topic at the first send to it")

	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	given := args // for the server to parse again
	if err := flags.Parse(args); err != nil {
		return flag.ErrHelp // it has been said
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected %q after %s", flags.Arg(0), command)
	}
	if *autoCreate {
		cfg.BrokerProperties = map[string]string{"autoCreateTopicEnable": "true"}
	}
	switch command {
	case "up":
		return up(ctx, given, stdout, stderr)
	case "status":
		return status(stdout)
	case "down":
		return down(stdout)
	case serveCommand:
		return serve(ctx, cfg)
	default:
		flags.Usage()
		return flag.ErrHelp
	}
}
