package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/test/bench/child"
	"github.com/rocketkit/rocketkit/test/peer"
)

const (
	queues   = 8
	bodySize = 1024

	childArgument = "child" // makes this program a child of itself
)

// javaFlags are those of the Java client's process; otherwise it has the JVM's defaults.
var javaFlags = []string{"-Xms1g", "-Xmx1g"} //nolint:gochecknoglobals // a constant

// rig is what all sections share: a broker, unless only those run that have their own, and the processes to be measured.
type rig struct {
	options  options
	progress io.Writer
	cluster  *testcluster.Cluster
	client   *rocketkit.Client
	admin    *admin.Admin
	running  map[string]*peer.Bench // by name
	logs     map[string]*tail
	version  string // of RocketMQ
}

// newRig starts a broker. Its files are as large as RocketMQ's own, not a test's, and its queue of sends doesn't refuse
// what waits for 200 ms, which on a busy machine would end a benchmark.
func newRig(ctx context.Context, o options, progress io.Writer) (r *rig, err error) {
	r = &rig{options: o, progress: progress, running: map[string]*peer.Bench{}, logs: map[string]*tail{}}
	if !slices.ContainsFunc(chosen(o), func(s section) bool { return !s.own }) {
		return r, nil
	}
	r.say("starting RocketMQ")
	r.cluster, err = testcluster.Start(ctx, testcluster.Config{
		Log: progress,
		BrokerProperties: map[string]string{
			"mappedFileSizeCommitLog":    "1073741824",
			"mappedFileSizeConsumeQueue": "6000000",
			"waitTimeMillsInSendQueue":   "10000",
		},
		JVM: []string{"-Xmx1g", "-XX:MaxDirectMemorySize=1g"},
	})
	if err != nil {
		return nil, err
	}
	r.version = r.cluster.Version()
	r.client, err = rocketkit.Open(rocketkit.Config{NameServers: r.cluster.NameServers(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, r.close())
	}
	r.admin = admin.New(r.client)
	return r, nil
}

func (r *rig) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.progress, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
}

// close ends everything that was started, who is profiled in order, as it has profiles to write.
func (r *rig) close() error {
	var all []error
	for name, b := range r.running {
		if name == r.options.profiled() && r.options.cpuProfile+r.options.memProfile != "" {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			all = append(all, b.Stop(ctx))
			cancel()
			continue
		}
		b.Kill()
	}
	if r.client != nil {
		all = append(all, r.client.Close(context.Background()))
	}
	if r.cluster != nil {
		all = append(all, r.cluster.Close())
	}
	return errors.Join(all...)
}

// Who is measured.
const (
	rocketkitName = "rocketkit"
	clientGoName  = "client-go"
	javaName      = "java"
	bareName      = "bare"

	// roomyName is rocketkit with more memory to fill between two collections, as a service sets GOGC; Java's processes
	// have a gigabyte.
	roomyName = "rocketkit-gogc400"

	// What shares requests, in the processes of rocketkit and of client-go.
	lingerName  = "rocketkit-linger"
	asyncName   = "rocketkit-async"
	batchesName = "client-go-batches"

	// What telemetry costs is measured by rocketkit without its hooks, and with OpenTelemetry's SDK.
	unwatchedName = "rocketkit-unwatched"
	metricsName   = "rocketkit-metrics"
	tracesName    = "rocketkit-traces"
)

func names() []string {
	return []string{rocketkitName, roomyName, unwatchedName, metricsName, tracesName, lingerName, asyncName, clientGoName, batchesName, javaName, bareName}
}

// process returns one of those to be measured, starting it when it doesn't run.
func (r *rig) process(ctx context.Context, name string) (b *peer.Bench, err error) {
	if b := r.running[name]; b != nil {
		return b, nil
	}
	r.say("starting %s", name)
	log := &tail{}
	switch name {
	case clientGoName:
		b, err = peer.ClientGo.StartBench(ctx, r.cluster.NameServers(), nil, log)
	case javaName:
		b, err = peer.Java.StartBench(ctx, r.cluster.NameServers(), javaFlags, log)
	default:
		var self string
		if self, err = os.Executable(); err != nil {
			return nil, err
		}
		o := child.Options{NameServers: r.cluster.NameServers(), Broker: r.cluster.Broker(0).Address()}
		if name == r.options.profiled() {
			o.CPUProfile, o.MemProfile = r.options.cpuProfile, r.options.memProfile
		}
		switch name {
		case unwatchedName, metricsName, tracesName:
			o.Telemetry = strings.TrimPrefix(name, "rocketkit-")
		}
		command := append([]string{self, childArgument}, o.Args()...)
		if name == roomyName {
			command = append([]string{"env", "GOGC=400"}, command...)
		}
		b, err = peer.StartBench(ctx, name, command, log)
	}
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, log)
	}
	r.running[name], r.logs[name] = b, log
	return b, nil
}
