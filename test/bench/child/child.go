// Package child is the program that the benchmarks start for rocketkit and for the bare loops, each in a process of its
// own as the other clients are. It serves measurements; see package meter.
package child

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/test/peer/meter"
)

// Options are the program's flags.
type Options struct {
	NameServers []string
	Broker      string // its address, for the bare loops
	CPUProfile  string // file for a profile of what follows the warm-up; none when empty
	MemProfile  string // file for the allocations, likewise
	Telemetry   string // "unwatched", "metrics" or "traces"; empty: no SDK
}

// Args writes the options as arguments that Main takes.
func (o Options) Args() []string {
	return []string{"-namesrv=" + strings.Join(o.NameServers, ";"), "-broker=" + o.Broker, "-cpuprofile=" + o.CPUProfile, "-memprofile=" + o.MemProfile, "-telemetry=" + o.Telemetry}
}

// Main serves measurements until it is told to stop, or until in ends.
func Main(args []string, in io.Reader, out io.Writer) (err error) {
	flags := flag.NewFlagSet("child", flag.ContinueOnError)
	nameServers := flags.String("namesrv", "", "")
	var o Options
	flags.StringVar(&o.Broker, "broker", "", "")
	flags.StringVar(&o.CPUProfile, "cpuprofile", "", "")
	flags.StringVar(&o.MemProfile, "memprofile", "", "")
	flags.StringVar(&o.Telemetry, "telemetry", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if o.MemProfile != "" {
		runtime.MemProfileRate = 16 << 10
	}
	o.NameServers = strings.Split(*nameServers, ";")
	cfg := rocketkit.Config{
		NameServers: o.NameServers,
		Logger:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	o.measure(&cfg)
	client, err := rocketkit.Open(cfg)
	if err != nil {
		return err
	}
	client.Cluster().Unwatched = o.Telemetry == "unwatched"
	c := &child{options: o, client: client}
	err = meter.Serve(in, out, map[string]meter.Measure{
		"consume": c.consume, "send": c.send, "send async": c.sendAsync, "idle": c.idle,
		"bare consume": c.bareConsume, "bare send": c.bareSend, "bare work": bareWork,
	})
	return errors.Join(err, client.Close(context.Background()), c.profiled())
}

type child struct {
	options Options
	client  *rocketkit.Client

	once    sync.Once
	profile *os.File // of the processor; nil when none is being written
}

// warm is called when a measurement that isn't a warm-up begins: profiles begin with the first.
func (c *child) warm() (err error) {
	if c.options.CPUProfile == "" {
		return nil
	}
	c.once.Do(func() {
		if c.profile, err = os.Create(c.options.CPUProfile); err == nil {
			err = pprof.StartCPUProfile(c.profile)
		}
	})
	return err
}

// profiled writes out the profiles.
func (c *child) profiled() error {
	var all []error
	if c.profile != nil {
		pprof.StopCPUProfile()
		all = append(all, c.profile.Close())
	}
	if c.options.MemProfile != "" {
		file, err := os.Create(c.options.MemProfile)
		if err != nil {
			return errors.Join(append(all, err)...)
		}
		all = append(all, pprof.Lookup("allocs").WriteTo(file, 0), file.Close())
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("write profiles: %w", err)
	}
	return nil
}
