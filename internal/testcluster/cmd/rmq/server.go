//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

const (
	stateDir      = ".cluster"
	controlSocket = stateDir + "/control" // relative: a socket's path may have about 100 bytes
	lockFile      = stateDir + "/lock"    // held while a server lives

	serveCommand = "serve" // not for users: what up runs in the background
	readyPrefix  = "ready "
	verbStatus   = "status"
	verbDown     = "down"
)

// state is what up and status tell.
type state struct {
	Version     string
	Process     int
	Directory   string
	NameServers []string
	Brokers     []string
}

type answer struct {
	State state
	Error string
}

// printVariables prints lines for a shell to evaluate.
func (s state) printVariables(out io.Writer) error {
	_, err := fmt.Fprintf(out, "export ROCKETKIT_NAMESRV='%s'\n", strings.Join(s.NameServers, ";"))
	return err
}

// serve owns the cluster until it is told to end it, over its socket or by a
// signal. Should it be killed, the cluster goes with it.
func serve(ctx context.Context, cfg testcluster.Config) error {
	unlock, err := testcluster.Lock(lockFile)
	if err != nil {
		return say(err)
	}
	defer unlock()
	cfg.Log = os.Stdout
	cluster, err := testcluster.Start(ctx, cfg)
	if err != nil {
		_ = os.RemoveAll(stateDir) // the cluster's error matters more
		return say(err)
	}
	err = answerUntilDown(ctx, cluster)
	if closed := cluster.Close(); err == nil {
		err = closed
	}
	return err
}

// say tells up, which relays this process's output and not its standard error.
func say(err error) error {
	fmt.Println(err)
	return err
}

func answerUntilDown(ctx context.Context, cluster *testcluster.Cluster) error {
	_ = os.Remove(controlSocket) // of a server that was killed
	listener, err := net.Listen("unix", controlSocket)
	if err != nil {
		return say(err)
	}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	defer os.RemoveAll(stateDir)
	defer listener.Close()
	current := describe(cluster)
	line, err := json.Marshal(current)
	if err != nil {
		return say(err)
	}
	fmt.Printf("%s%s\n", readyPrefix, line) // the last: up reads no further
	for {
		conn, err := listener.Accept()
		if err != nil {
			return ctx.Err()
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second)) // others wait in line
		verb, _ := bufio.NewReader(conn).ReadString('\n')     // an incomplete verb is none
		a := answer{State: current}
		down := strings.TrimSpace(verb) == verbDown
		if down {
			if err := cluster.Close(); err != nil {
				a.Error = err.Error()
			}
			_ = os.RemoveAll(stateDir) // before the answer: who reads it may go up again
		}
		_ = json.NewEncoder(conn).Encode(a) // who asked may have gone
		conn.Close()
		if down {
			return nil
		}
	}
}

func describe(cluster *testcluster.Cluster) state {
	s := state{
		Version:     cluster.Version(),
		Process:     os.Getpid(),
		Directory:   cluster.Directory(),
		NameServers: cluster.NameServers(),
	}
	for _, broker := range cluster.Brokers() {
		s.Brokers = append(s.Brokers, broker.Name()+" "+broker.Address())
	}
	return s
}
