package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/mqtest"
)

// cluster gives the name servers to use: those of NAMESRV; with REAL=1 those of a RocketMQ started here; else those of
// mqtest's cluster in this process. stop ends what was started.
func cluster(ctx context.Context, out io.Writer) (nameServers string, stop func() error, err error) {
	if given := os.Getenv("NAMESRV"); given != "" {
		fmt.Fprintln(out, "on the cluster of", given)
		return given, func() error { return nil }, nil
	}
	if os.Getenv("REAL") == "1" {
		fmt.Fprintln(out, "on a real RocketMQ, which takes a moment to start (and to fetch, the first time)")
		c, err := testcluster.Start(ctx, testcluster.Config{Log: out})
		if err != nil {
			return "", nil, err
		}
		return strings.Join(c.NameServers(), ";"), c.Close, nil
	}
	fmt.Fprintln(out, "on an in-process cluster (mqtest); REAL=1 takes a real RocketMQ, NAMESRV=host:port one of yours")
	c, err := mqtest.Start(mqtest.Config{TCP: true})
	if err != nil {
		return "", nil, err
	}
	return strings.Join(c.Addresses(), ";"), c.Close, nil
}
