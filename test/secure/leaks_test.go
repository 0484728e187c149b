package secure

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/reader"
)

func writeSecret(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantRetry reads the retries of the group billing until one is the body.
func wantRetry(t *testing.T, client *rocketkit.Client, body string) {
	t.Helper()
	r, err := reader.New(client, reader.Config{Topic: "%RETRY%billing", Group: "tools", Start: reader.Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for m, err := range r.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Body()) == body {
			return
		}
	}
}

// leaks holds docs/tenants.md to the broker: what tenant a can do to tenant b by requests that rocketkit itself would
// never send.
func leaks(t *testing.T, a, aInB, b *rocketkit.Client) {
	master := masterOf(t, a)
	receipt, err := try(t, b, "orders", "secret of b")
	if err != nil {
		t.Fatal(err)
	}
	_, place, err := protocol.ParseOffsetID(receipt.OffsetID)
	if err != nil {
		t.Fatal(err)
	}
	view := aInB.Cluster()
	leak := func(name string, open bool, err error) {
		t.Helper()
		switch {
		case !open && refused(err, ""):
			t.Errorf("RocketMQ has closed a leak: %s: %v. Take it out of docs/tenants.md and of this test", name, err)
		case !open:
			t.Errorf("%s: %v", name, err)
		}
	}

	answer, err := view.Invoke(t.Context(), master, protocol.ViewMessage{Offset: place}.Frame())
	if err == nil {
		m, parsed := protocol.ParseViewMessage(answer)
		leak("a message is read by its place in the commit log, without naming its topic", parsed == nil && string(m.Body) == "secret of b", parsed)
	} else {
		leak("a message is read by its place in the commit log, without naming its topic", false, err)
	}

	_, err = view.Invoke(t.Context(), master, protocol.ViewMessage{Topic: "b%orders", Offset: place}.Frame())
	if !refused(err, "grant Get on Topic:orders") {
		t.Errorf("view with its topic: %v", err)
	}
	_, err = view.Invoke(t.Context(), master, protocol.ViewMessage{Topic: "a%orders", Offset: place}.Frame())
	leak("a message is read by its place in the commit log, by the name of one's own topic", err == nil, err)

	_, err = view.Invoke(t.Context(), master, protocol.SendBack{Group: "a%billing", Offset: place, DelayLevel: 1, OriginTopic: "b%orders", MaxReconsumeTimes: 16}.Frame())
	leak("any message is sent back to one's own group", err == nil, err)
	if err == nil {
		wantRetry(t, a, "secret of b")
	}

	_, err = view.Invoke(t.Context(), master, protocol.CreateGroup{Config: protocol.NewGroupConfig("b%made-by-a")}.Frame())
	leak("groups of others are created and changed", err == nil, err)

	_, err = view.Invoke(t.Context(), master, protocol.Heartbeat{ClientID: "intruder", Producers: []protocol.ProducerData{{Group: "b%sender"}}}.Frame())
	leak("a producer joins another's group, and is sent its check-backs", err == nil, err)

	answer, err = view.Call(t.Context(), master, protocol.PullMessage{Group: "a%billing", Topic: "%RETRY%b%billing", MaxMessages: 1, Subscription: "*"}.Frame())
	if err != nil {
		t.Fatal(err)
	}
	leak("retries of others are pulled in the name of one's own group", answer.Code != protocol.CodeNoPermission, protocol.Check(protocol.ReqPullMessage, answer))

	_, err = admin.New(aInB).ListTopics(t.Context())
	leak("name servers list all topics", err == nil, err)
	err = admin.New(a).KV("rocketkit-test").Put(t.Context(), "b", "by a")
	leak("anybody writes the name servers' table", err == nil, err)
}
