package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// cluster gives the name servers to use: those of NAMESRV, or of a cluster started here, which stop ends.
func cluster(ctx context.Context) (nameServers string, stop func(), err error) {
	if given := os.Getenv("NAMESRV"); given != "" {
		return given, func() {}, nil
	}
	fmt.Println("starting a RocketMQ name server and broker ...")
	c, err := testcluster.Start(ctx, testcluster.Config{Log: os.Stdout})
	if err != nil {
		return "", nil, err
	}
	return strings.Join(c.NameServers(), ";"), func() { c.Close() }, nil
}
