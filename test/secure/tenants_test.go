package secure

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/reader"
)

// TestTenantsConfinedByACL: what `rocketkit tenant acl --apply` sets lets a tenant do all that it needs and nothing to
// another, and the leaks that docs/tenants.md lists are there.
func TestTenantsConfinedByACL(t *testing.T) {
	cluster := rocketmq.Cluster(t)
	asOperator := open(t, environment(cluster, "", operator, operatorSecret))
	for _, tenant := range []string{"a", "b"} {
		provision(t, asOperator, tenant)
		confine(t, cluster, tenant)
	}
	traced := map[string]string{"ROCKETKIT_TRACE": "true"}
	a := open(t, with(environment(cluster, "a", "a", "secret of a"), traced))
	b := open(t, with(environment(cluster, "b", "b", "secret of b"), traced))
	aInB, err := a.For("b", nil)
	if err != nil {
		t.Fatal(err)
	}
	bInA, err := b.For("a", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []*rocketkit.Client{a, b} {
		t.Run(own.Tenant()+" does what it needs", func(t *testing.T) { worksFor(t, own) })
		t.Run(own.Tenant()+" sends in every way", func(t *testing.T) { sendsFor(t, own) })
	}
	for _, foreign := range []*rocketkit.Client{aInB, bInA} {
		t.Run("nobody else in "+foreign.Tenant(), func(t *testing.T) { refusedFor(t, foreign) })
	}
	t.Run("two tenants in a process", func(t *testing.T) { sharesSockets(t, a) })
	t.Run("leaks", func(t *testing.T) { leaks(t, a, aInB, b) })
}

func groups() []string { return []string{"billing", "undertaker", "tools"} }

// provision makes what the operator makes for a tenant.
func provision(t *testing.T, asOperator *rocketkit.Client, tenant string) {
	t.Helper()
	view, err := asOperator.For(tenant, nil)
	if err != nil {
		t.Fatal(err)
	}
	ops := admin.New(view)
	t.Cleanup(func() { // the cluster is shared, and the test may be repeated
		ctx := context.WithoutCancel(t.Context())
		err := errors.Join(ops.DeleteTopic(ctx, "orders"), ops.DeleteTopic(ctx, rocketkit.DefaultTenantTraceTopic), ops.DeleteUser(ctx, tenant))
		for _, group := range groups() {
			err = errors.Join(err, ops.DeleteGroup(ctx, group, admin.Retry, admin.DeadLetters))
		}
		if err != nil {
			t.Error(err)
		}
	})
	for _, topic := range []string{"orders", rocketkit.DefaultTenantTraceTopic} {
		if err := ops.CreateTopic(t.Context(), admin.TopicConfig{Name: topic}); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range groups() {
		if err := ops.CreateGroup(t.Context(), admin.GroupConfig{Name: group}); err != nil {
			t.Fatal(err)
		}
	}
}

func confine(t *testing.T, cluster *testcluster.Cluster, tenant string) {
	t.Helper()
	const nothing, password = "", "password"
	apply := []string{"tenant", "acl", "--tenant", tenant, "--apply"}
	file := writeSecret(t, "secret of "+tenant)
	if status, text := rocketkitCommand(t, cluster, nothing, append(apply, "--dry-run")...); status != 0 || !strings.Contains(text, "Topic:%DLQ%"+tenant+"%*") {
		t.Fatalf("dry run: %d", status)
	}
	if status, text := rocketkitCommand(t, cluster, nothing, append(apply, "--yes")...); status != 2 || !strings.Contains(text, "--password-file") {
		t.Fatalf("a user without a %s: %d", password, status)
	}
	if status, _ := rocketkitCommand(t, cluster, "n\n", append(apply, "--password-file", file)...); status != 3 {
		t.Fatalf("a no: %d", status)
	}
	if status, _ := rocketkitCommand(t, cluster, "y\n", append(apply, "--password-file", file)...); status != 0 {
		t.Fatalf("a yes: %d", status)
	}
	if status, text := rocketkitCommand(t, cluster, nothing, apply...); status != 0 || !strings.Contains(text, "nothing to do") {
		t.Fatalf("again: %d", status)
	}
}

// worksFor: send, consume, retry, dead-letter, read dead letters, see the lag, reset, all by the tenant itself.
func worksFor(t *testing.T, client *rocketkit.Client) {
	handled, letters := make(chan string, 16), make(chan string, 16)
	stop := run(t, client, consumer.Config{
		Group: "billing", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			handled <- fmt.Sprintf("%s %d", m.Body(), m.Attempt())
			switch {
			case string(m.Body()) == "bad":
				return consumer.DeadLetter(errors.New("never"))
			case string(m.Body()) == "again" && m.Attempt() == 1:
				return consumer.RetryIn(time.Second, errors.New("not yet"))
			}
			return nil
		}}},
	})
	for _, body := range []string{"good", "bad", "again"} {
		if _, err := try(t, client, "orders", body); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]bool{"good 1": true, "bad 1": true, "again 1": true, "again 2": true}
	for len(want) > 0 {
		got := await(t, "message", handled)
		if !want[got] {
			t.Fatalf("handled %q", got)
		}
		delete(want, got)
	}
	stop()
	ops := admin.New(client)
	offsets, err := ops.Offsets(t.Context(), "billing", "orders")
	if err != nil {
		t.Fatal(err)
	}
	back := map[rocketkit.Queue]int64{}
	for _, o := range offsets {
		back[o.Queue] = 0
	}
	if err := ops.SetOffsets(t.Context(), "billing", back); err != nil {
		t.Fatal(err)
	}
	stop = run(t, client, consumer.Config{
		Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: func(context.Context, *rocketkit.Message) error {
			handled <- "reset"
			return nil
		}}},
	})
	await(t, "message after the reset", handled)
	stop()
	eventually(t, "dead-letter topic", func() bool {
		_, err := ops.Topic(t.Context(), "%DLQ%billing")
		return err == nil
	})
	run(t, client, consumer.Config{
		Group: "undertaker", Start: consumer.Earliest(),
		Topics: map[string]consumer.Topic{"%DLQ%billing": {Handler: func(_ context.Context, m *rocketkit.Message) error {
			letters <- string(m.Body())
			return nil
		}}},
	})
	if got := await(t, "dead letter", letters); got != "bad" {
		t.Errorf("dead letter %q", got)
	}
}

// refusedFor: a client of another tenant's user is refused all of it at the broker, with an error that says what it lacks.
func refusedFor(t *testing.T, foreign *rocketkit.Client) {
	ops := admin.New(foreign)
	if _, err := try(t, foreign, "orders", "intruder"); !refused(err, "grant Pub on Topic:orders") {
		t.Errorf("send: %v", err)
	}
	ranges, err := ops.TopicOffsets(t.Context(), "orders")
	if !refused(err, "grant Get on Topic:orders") {
		t.Errorf("offsets: %v %v", ranges, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := reader.New(foreign, reader.Config{Topic: "orders", Group: "tools", Start: reader.Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range r.Messages(ctx) {
		if !refused(err, "grant ") {
			t.Errorf("read %v, %v", m, err)
		}
		break
	}
	if _, err := ops.Offsets(t.Context(), "billing", "orders"); !refused(err, "grant Get on") {
		t.Errorf("lag: %v", err)
	}
	master := masterOf(t, foreign)
	view := foreign.Cluster()
	in := foreign.Tenant() + "%"
	_, err = view.Invoke(t.Context(), master, protocol.PullMessage{Group: in + "billing", Topic: in + "orders", MaxMessages: 1, Subscription: "*"}.Frame())
	if !refused(err, "grant Sub on Topic:orders") {
		t.Errorf("pull: %v", err)
	}
	_, err = view.Invoke(t.Context(), master, protocol.UpdateOffset{Group: in + "billing", Topic: in + "orders", Offset: 0}.Frame())
	if !refused(err, "grant Sub or Update on Topic:orders") {
		t.Errorf("commit: %v", err)
	}
	_, err = view.Invoke(t.Context(), master, protocol.ResetOffset{Group: in + "billing", Topic: in + "orders", Force: true}.Frame())
	if !refused(err, "grant Update on ") {
		t.Errorf("reset: %v", err)
	}
	if err := ops.DeleteTopic(t.Context(), "orders"); !refused(err, "grant ") {
		t.Errorf("delete: %v", err)
	}
	if _, err := ops.Access(t.Context(), "a"); !refused(err, "grant Get on Cluster:") {
		t.Errorf("read the rules: %v", err)
	}
}

// refused tells whether a broker has refused for want of rights, and whether the error says so.
func refused(err error, says string) bool {
	code, _, ok := rocketkit.Code(err)
	return ok && code == int(protocol.CodeNoPermission) && strings.Contains(err.Error(), says)
}

// sharesSockets: one process serves two tenants, each with its own credentials, over the same sockets; a heartbeat that
// one of them may not send doesn't hurt the other.
func sharesSockets(t *testing.T, a *rocketkit.Client) {
	b, err := a.For("b", rocketkit.StaticCredentials("b", "secret of b", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []*rocketkit.Client{a, b} {
		handled := make(chan string, 64)
		run(t, client, consumer.Config{
			Group: "billing", Topics: map[string]consumer.Topic{"orders": {Handler: func(_ context.Context, m *rocketkit.Message) error {
				handled <- string(m.Body())
				return nil
			}}},
		})
		body := "for " + client.Tenant()
		if _, err := try(t, client, "orders", body); err != nil {
			t.Fatal(err)
		}
		for await(t, body, handled) != body { // older ones come too
		}
		members, err := admin.New(client).Connections(t.Context(), "billing")
		if err != nil {
			t.Fatal(err)
		}
		if len(members.Members) != 1 {
			t.Errorf("members of tenant %s: %+v", client.Tenant(), members.Members)
		}
	}
}

func masterOf(t *testing.T, client *rocketkit.Client) string {
	t.Helper()
	brokers, err := admin.New(client).Brokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return brokers[0].Addresses[protocol.MasterID]
}
