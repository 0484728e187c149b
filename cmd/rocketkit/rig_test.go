package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a cluster with three name servers, and the tool that is tried on it.
type rig struct {
	*testing.T
	cluster  *mqtest.Cluster
	env      map[string]string
	terminal bool
	ctx      context.Context //nolint:containedctx // what the program runs under, where a test ends it
}

func newRig(t *testing.T) *rig {
	t.Helper()
	t.Parallel()
	cluster := mqtest.New(t, mqtest.Config{
		TCP: true, NameServers: 3, Logger: slog.New(slog.DiscardHandler),
		Topics: map[string]int{"orders": 2, "refunds": 2, "red%orders": 2},
	})
	env := map[string]string{"ROCKETKIT_NAMESRV": strings.Join(cluster.Addresses(), ";"), "USER": "ann"}
	return &rig{T: t, cluster: cluster, env: env, ctx: t.Context()}
}

// client opens a Client for a tenant.
func (r *rig) client(tenant string, edit func(*rocketkit.Config)) *rocketkit.Client {
	r.Helper()
	cfg := r.cluster.Config()
	cfg.Tenant, cfg.Settings.CacheDir = tenant, "off"
	if edit != nil {
		edit(&cfg)
	}
	client, err := rocketkit.Open(cfg)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			r.Error(err)
		}
	})
	return client
}

// billing starts an instance of the group billing and returns its id and what stops it.
func (r *rig) billing(tenant string, edit func(*rocketkit.Config)) (id string, stop func()) {
	r.Helper()
	topics := map[string]consumer.Topic{"orders": {Handler: nothing, Workers: 16}}
	if tenant == "" {
		topics["refunds"] = consumer.Topic{Handler: nothing, Workers: 4, MaxWorkers: 8}
	}
	client := r.client(tenant, edit)
	c, err := consumer.New(client, consumer.Config{Group: "billing", Topics: topics})
	if err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				r.Error(err)
			}
		}
	}
	r.Cleanup(stop)
	select {
	case <-c.Ready():
	case err := <-ended:
		r.Fatal(err)
	}
	return client.ID(), stop
}

func nothing(context.Context, *rocketkit.Message) error { return nil }

// run runs the program for the rig's cluster.
func (r *rig) run(args ...string) (status int, out, errs string) {
	r.Helper()
	return r.answer("", args...)
}

// answer is run with something to read.
func (r *rig) answer(in string, args ...string) (status int, out, errs string) {
	r.Helper()
	var stdout, stderr bytes.Buffer
	status = console{in: strings.NewReader(in), out: &stdout, err: &stderr, lookup: func(name string) (string, bool) {
		value, ok := r.env[name]
		return value, ok
	}, terminal: r.terminal}.run(r.ctx, args)
	if testing.Verbose() {
		r.Logf("rocketkit %s\n%s%sstatus %d", strings.Join(args, " "), stdout.String(), stderr.String(), status)
	}
	return status, stdout.String(), stderr.String()
}

var varying = []struct {
	pattern *regexp.Regexp
	to      string
}{
	{regexp.MustCompile(`\b1[0-9]{12}\b`), "REV"},
	{regexp.MustCompile(`[0-9.]+@mqtest-[0-9]+`), "INSTANCE"},
	{regexp.MustCompile(`127\.0\.0\.1:[0-9]+`), "SERVER"},
	{regexp.MustCompile(` +[0-9]+\.[0-9]{2}s`), " TOOK"},
	{regexp.MustCompile(`([0-9]+s|[0-9]+m[0-9]*s?) ago`), "AGE ago"},
	{regexp.MustCompile(`in [0-9hms]+, at ([0-9-]+ )?[0-9:]{8}`), "in AWHILE"},
	{regexp.MustCompile(`[Aa]t ([0-9-]+ )?[0-9]{2}:[0-9]{2}:[0-9]{2}`), "at TIME"},
	{regexp.MustCompile(`GET_KV_CONFIG \(101\): [^\n]*`), "ERROR"},
	{regexp.MustCompile(`"at": "[^"]*"`), `"at": "AT"`},
	{regexp.MustCompile(` +`), " "},
}

// golden leaves out what varies from run to run.
func golden(text string) string {
	for _, v := range varying {
		text = v.pattern.ReplaceAllString(text, v.to)
	}
	return text
}
