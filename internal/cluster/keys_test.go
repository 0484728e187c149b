package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/tenant"
)

// vault gives credentials as the test says, and counts.
type vault struct {
	calls  atomic.Int32
	answer func(call int) (cluster.Credentials, error)
}

func (v *vault) ask(context.Context) (cluster.Credentials, error) {
	return v.answer(int(v.calls.Add(1)))
}

// keysOf makes Keys on a Cluster that logs to log.
func keysOf(t *testing.T, v *vault, log *bytes.Buffer) (*cluster.Cluster, *cluster.Keys) {
	t.Helper()
	c := cluster.New(cluster.Config{
		NameServers: []string{"ns:1"}, ClientID: "me", RequestTimeout: time.Second,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	t.Cleanup(func() { _ = c.Close() })
	return c, c.NewKeys(v.ask)
}

// signedBy signs a request, and returns the access key it bears.
func signedBy(ctx context.Context, k *cluster.Keys) (string, error) {
	var req frame.Frame
	if err := k.Sign(ctx, &req); err != nil {
		return "", err
	}
	access, _ := req.Fields.Get("AccessKey")
	return access, nil
}

func lasting(name string, d time.Duration) cluster.Credentials {
	c := cluster.Credentials{AccessKey: name, SecretKey: "s"}
	if d > 0 {
		c.Expires = time.Now().Add(d)
	}
	return c
}

// TestCredentialsAreAskedForOnce: many requests at the start, one question; and never again when they last for ever.
func TestCredentialsAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{answer: func(int) (cluster.Credentials, error) {
			time.Sleep(time.Second)
			return lasting("one", 0), nil
		}}
		_, k := keysOf(t, v, &bytes.Buffer{})
		if v.calls.Load() != 0 {
			t.Error("asked before there was a need")
		}
		var group sync.WaitGroup
		for range 32 {
			group.Go(func() {
				if by, err := signedBy(t.Context(), k); by != "one" || err != nil {
					t.Error(by, err)
				}
			})
		}
		group.Wait()
		time.Sleep(1000 * time.Hour)
		if _, err := signedBy(t.Context(), k); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := v.calls.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestCredentialsAreAskedForAhead: when a fifth of their time is left, and no request waits for the answer.
func TestCredentialsAreAskedForAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{answer: func(call int) (cluster.Credentials, error) {
			if call > 1 {
				time.Sleep(5 * time.Minute)
				return lasting("second", time.Hour), nil
			}
			return lasting("first", time.Hour), nil
		}}
		_, k := keysOf(t, v, &bytes.Buffer{})
		for began := time.Now(); time.Since(began) < 53*time.Minute; time.Sleep(time.Minute) {
			at := time.Now()
			if by, err := signedBy(t.Context(), k); by != "first" || err != nil || time.Since(at) > 0 {
				t.Fatalf("after %v: %s, %v, waited %v", at.Sub(began), by, err, time.Since(at))
			}
			synctest.Wait()
			if want := time.Since(began) >= 48*time.Minute; (v.calls.Load() > 1) != want {
				t.Fatalf("after %v asked %d times", time.Since(began), v.calls.Load())
			}
		}
		synctest.Wait()
		if by, err := signedBy(t.Context(), k); by != "second" || err != nil {
			t.Error(by, err)
		}
		if n := v.calls.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestCredentialsThatCannotBeRenewed: the last ones go on until they expire, then requests fail and say why; the log has a
// line for each of the three changes.
func TestCredentialsThatCannotBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		v := &vault{answer: func(int) (cluster.Credentials, error) {
			if broken.Load() {
				panic("the vault is sealed")
			}
			return lasting("key", time.Hour), nil
		}}
		var log bytes.Buffer
		_, k := keysOf(t, v, &log)
		if _, err := signedBy(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		broken.Store(true)
		for began := time.Now(); time.Since(began) < 2*time.Hour; time.Sleep(time.Second) {
			_, err := signedBy(t.Context(), k)
			if left := time.Since(began) < time.Hour; left != (err == nil) {
				t.Fatalf("after %v: %v", time.Since(began), err)
			}
			if err != nil && (!strings.Contains(err.Error(), "credentials: the last ones expired at ") || !strings.Contains(err.Error(), "the vault is sealed")) {
				t.Fatal(err)
			}
		}
		if n := v.calls.Load(); n < 100 || n > 200 { // 72 minutes, each 30 s
			t.Errorf("asked %d times", n)
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		if by, err := signedBy(t.Context(), k); by != "key" || err != nil {
			t.Error(by, err)
		}
		for text, times := range map[string]int{"the last ones go on until they expire": 1, "have expired and can't be renewed": 1, "are renewed again": 1} {
			if n := strings.Count(log.String(), text); n != times {
				t.Errorf("%q is in the log %d times:\n%s", text, n, &log)
			}
		}
	})
}

// TestCredentialsThatAreNone: what can't sign is an error that says so, under the caller's context.
func TestCredentialsThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for says, answer := range map[string]func(int) (cluster.Credentials, error){
			"an access key and a secret key are needed": func(int) (cluster.Credentials, error) { return cluster.Credentials{AccessKey: "a"}, nil },
			"those for access key late expired at":      func(int) (cluster.Credentials, error) { return lasting("late", time.Nanosecond), nil },
			"none could be had: closed":                 func(int) (cluster.Credentials, error) { return cluster.Credentials{}, errors.New("closed") },
		} {
			_, k := keysOf(t, &vault{answer: answer}, &bytes.Buffer{})
			if says == "those for access key late expired at" {
				inner := answer
				_, k = keysOf(t, &vault{answer: func(n int) (cluster.Credentials, error) {
					c, err := inner(n)
					time.Sleep(time.Second)
					return c, err
				}}, &bytes.Buffer{})
			}
			if _, err := signedBy(t.Context(), k); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%v\ndoesn't say %q", err, says)
			}
		}
		c, k := keysOf(t, &vault{answer: func(int) (cluster.Credentials, error) {
			time.Sleep(time.Hour)
			return lasting("slow", 0), nil
		}}, &bytes.Buffer{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := signedBy(ctx, k); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		_ = c.Close()
		if _, err := signedBy(t.Context(), c.NewKeys((&vault{}).ask)); !errors.Is(err, remoting.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestHeartbeatsOfTenantsAreSignedByEach: one heartbeat for each tenant's credentials, with that tenant's groups alone, and
// each leaves under its own.
func TestHeartbeatsOfTenantsAreSignedByEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{answer: well}
		red := open(t, n)
		knowTopic(t, red)
		names, err := tenant.New("blue")
		if err != nil {
			t.Fatal(err)
		}
		blue := red.View(names, red.NewKeys((&vault{answer: func(int) (cluster.Credentials, error) { return lasting("blue", 0), nil }}).ask))
		for view, group := range map[*cluster.View]string{red: "red%g", blue: "blue%g"} {
			if err := view.Join(t.Context(), consumerIn(group)); err != nil {
				t.Fatal(err)
			}
		}
		seen := map[string]bool{}
		for _, r := range n.to("b:1", protocol.ReqHeartbeat) {
			by, _ := r.Fields.Get("AccessKey")
			consumers, _ := groupsIn(t, r)
			seen[by+" "+strings.Join(consumers, ",")] = true
		}
		if len(seen) != 2 || !seen[" red%g"] || !seen["blue blue%g"] {
			t.Errorf("heartbeats %v", seen)
		}
		if err := blue.Leave(t.Context(), consumerIn("blue%g")); err != nil {
			t.Fatal(err)
		}
		for _, r := range n.to("b:1", protocol.ReqUnregister) {
			if by, _ := r.Fields.Get("AccessKey"); by != "blue" {
				t.Errorf("unregistered by %q", by)
			}
		}
	})
}
