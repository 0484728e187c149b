package secure

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
)

// patience bounds a wait for a state. It is no promise: a test that passes waits for far less.
const patience = 60 * time.Second

// environment is that of a program which does all right, for the user.
func environment(cluster *testcluster.Cluster, tenant, user, secret string) map[string]string {
	return map[string]string{
		"ROCKETKIT_NAMESRV": strings.Join(cluster.NameServers(), ";"), "ROCKETKIT_TENANT": tenant,
		"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CA": files.CA, "ROCKETKIT_TLS_CERT": files.Certificate, "ROCKETKIT_TLS_KEY": files.Key,
		"ROCKETKIT_ACCESS_KEY": user, "ROCKETKIT_SECRET_KEY": secret,
	}
}

// with is env with other values; an empty one unsets.
func with(env map[string]string, changes map[string]string) map[string]string {
	env = maps.Clone(env)
	maps.Copy(env, changes)
	return env
}

func open(t *testing.T, env map[string]string) *rocketkit.Client {
	t.Helper()
	cfg, err := rocketkit.FromEnv(func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return client
}

// try sends one message and gives up soon.
func try(t *testing.T, client *rocketkit.Client, topic, body string) (producer.Receipt, error) {
	t.Helper()
	p, err := producer.New(client, producer.Config{Group: "sender"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return p.Send(ctx, producer.Message{Topic: topic, Body: []byte(body)})
}

// run runs a consumer until stop is called or the test ends.
func run(t *testing.T, client *rocketkit.Client, cfg consumer.Config) (stop func()) {
	t.Helper()
	c, err := consumer.New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("consumer: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func await[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
	panic("not reached")
}

// eventually waits until there is what ok tells.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("no %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// program is the built command line.
var program struct {
	once sync.Once
	path string
	err  error
}

// rocketkitCommand runs the command line as the operator and returns its status with what it printed.
func rocketkitCommand(t *testing.T, cluster *testcluster.Cluster, in string, args ...string) (status int, printed string) {
	t.Helper()
	program.once.Do(func() {
		program.path = filepath.Join(filepath.Dir(files.CA), "rocketkit")
		var text []byte
		if text, program.err = exec.Command("go", "build", "-o", program.path, "../../cmd/rocketkit").CombinedOutput(); program.err != nil {
			t.Logf("%s", text)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	command := exec.CommandContext(t.Context(), program.path, args...)
	command.Env = []string{"HOME=" + os.Getenv("HOME")}
	for name, value := range environment(cluster, "", operator, operatorSecret) {
		command.Env = append(command.Env, name+"="+value)
	}
	var out bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(in), &out, &out
	err := command.Run()
	if err != nil && command.ProcessState == nil {
		t.Fatal(err)
	}
	t.Logf("rocketkit %s: status %d\n%s", strings.Join(args, " "), command.ProcessState.ExitCode(), out.String())
	return command.ProcessState.ExitCode(), out.String()
}
