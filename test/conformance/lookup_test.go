package conformance

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/producer"
)

// A message is found by its own id, by its broker's id, and by its keys, with all that is known of it; another tenant
// finds none of it, whatever id it names.
func TestLookup(t *testing.T) { onEach(t, testLookup) }

func testLookup(t *testing.T, on target) {
	red := on.open(t, tenantOf(t, "-r"))
	blue, err := red.For(tenantOf(t, "-b"), nil)
	if err != nil {
		t.Fatal(err)
	}
	topic(t, red, "orders")
	topic(t, blue, "orders")
	p := newProducer(t, red, "sender")
	began := time.Now()
	key := fmt.Sprintf("k%d", began.UnixNano()) // not of another run on the same cluster
	var receipts []producer.Receipt
	for _, body := range []string{"one", "two", "three"} {
		r, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(body), Tag: "t", Keys: []string{key, body}})
		if err != nil {
			t.Fatal(err)
		}
		receipts = append(receipts, r)
	}
	ours, theirs := admin.New(red), admin.New(blue)
	var found []admin.StoredMessage
	eventually(t, "all are in the index", func() bool {
		found, err = ours.MessagesByKey(t.Context(), "orders", key, began.Add(-time.Minute), time.Now().Add(time.Minute), 0)
		if err != nil && !errors.Is(err, admin.ErrNotFound) {
			t.Fatal(err)
		}
		return len(found) == 3
	})
	for _, r := range receipts {
		for _, id := range []string{r.ID, r.OffsetID, strings.ToLower(r.OffsetID)} {
			m, err := ours.Message(t.Context(), "orders", id)
			if err != nil {
				t.Fatal(err)
			}
			same(t, m, r)
			if _, err := theirs.Message(t.Context(), "orders", id); !errors.Is(err, admin.ErrNotFound) {
				t.Errorf("another tenant asks for %s: %v", id, err)
			}
		}
	}
	if two, err := ours.MessagesByKey(t.Context(), "orders", "two", time.Time{}, time.Time{}, 1); err != nil || len(two) != 1 {
		t.Errorf("%d found, %v", len(two), err)
	} else {
		same(t, two[0], receipts[1])
	}
	if newest, err := ours.MessagesByKey(t.Context(), "orders", key, time.Time{}, time.Time{}, 2); err != nil || len(newest) != 2 {
		t.Errorf("%d found, %v", len(newest), err)
	}
	for what, err := range map[string]error{
		"another tenant's": second(theirs.MessagesByKey(t.Context(), "orders", key, time.Time{}, time.Time{}, 0)),
		"times before":     second(ours.MessagesByKey(t.Context(), "orders", key, time.Time{}, began.Add(-time.Hour), 0)),
		"part of a key":    second(ours.MessagesByKey(t.Context(), "orders", "tw", time.Time{}, time.Time{}, 0)),
		"an unknown id":    second(ours.Message(t.Context(), "orders", strings.Repeat("0F", 16))),
		"no id":            second(ours.Message(t.Context(), "orders", "none")),
	} {
		if !errors.Is(err, admin.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ours.Message(t.Context(), "missing", receipts[0].ID); !errors.Is(err, rocketkit.ErrNoRoute) {
		t.Errorf("a topic that isn't there: %v", err)
	}
	for _, shared := range []string{"SCHEDULE_TOPIC_XXXX", "RMQ_SYS_TRANS_HALF_TOPIC", "%RETRY%CID_RMQ_SYS_x"} {
		if _, err := ours.MessagesByKey(t.Context(), shared, "k", time.Time{}, time.Time{}, 0); !errors.Is(err, rocketkit.ErrConfig) {
			t.Errorf("%s: %v", shared, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// same tells what differs between a message that was found and the receipt of its sending.
func same(t *testing.T, m admin.StoredMessage, r producer.Receipt) {
	t.Helper()
	host, _, err := net.SplitHostPort(m.StoreHost.String())
	if m.ID() != r.ID || m.OffsetID() != r.OffsetID || m.Queue() != r.Queue || m.Offset() != r.Offset || m.Topic() != "orders" ||
		m.Tag() != "t" || len(m.Keys()) != 2 || string(m.Body()) != m.Keys()[1] || err != nil || host == "" {
		t.Errorf("found %s at %v %d (%s), stored in %s; sent %+v", m.ID(), m.Queue(), m.Offset(), m.Body(), m.StoreHost, r)
	}
}
