package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/producer"
)

// A replica is read from when the master says so, and no more once it is dead; what retention has deleted meanwhile is
// skipped at once, and counted.
func TestReplicaAndRetention(t *testing.T) {
	t.Parallel()
	cluster := testcluster.Run(t, testcluster.Config{Replicas: 1, BrokerProperties: map[string]string{
		"slaveReadEnable":               "true",
		"accessMessageInMemoryMaxRatio": "0", // whoever isn't through counts as too slow for the master's memory
		"mappedFileSizeCommitLog":       "1048576",
		"deleteFileBatchMax":            "1000",
		"fileReservedTime":              "0", // all files but the last may go, when somebody asks for it
	}})
	on := target{"real", cluster.NameServers()}
	read := &readBytes{by: map[string]int{}}
	cfg := on.config(t, tenantOf(t, ""))
	cfg.Dial = read.dial
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close(context.Background())
	topic(t, client, "orders")
	eventually(t, "the topic on the replica", func() bool {
		brokers, err := admin.New(client).Brokers(t.Context())
		return err == nil && len(brokers) == 1 && len(brokers[0].Addresses) == 2
	})
	got := newTally()
	replica := cluster.Replica(0, 1).Address()
	sent := 0
	backlog := func() {
		p, err := producer.New(client, producer.Config{Group: "sender"})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(t.Context())
		for i := range 2000 {
			body := append(fmt.Appendf(nil, "%d ", sent+i), bytes.Repeat([]byte("x"), 2000)...)
			if _, err := p.Send(t.Context(), producer.Message{Topic: "orders", Body: body}); err != nil {
				t.Fatal(err)
			}
		}
		sent += 2000
	}
	consume := func(n int) *running {
		c := run(t, client, orders(func(_ context.Context, m *rocketkit.Message) error {
			prefix, _, _ := bytes.Cut(m.Body(), []byte(" "))
			got.add(string(prefix))
			return nil
		}))
		got.awaitDistinct(t, n)
		return c
	}

	for limit := time.Now().Add(patience); ; { // a replica gets to know topics and groups within some 10 s
		backlog()
		before := read.of(replica)
		consume(sent).end(t)
		n := read.of(replica) - before
		if n > 1<<20 {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("%d bytes were read from the replica, of some 4 MB in all", n)
		}
	}

	backlog()
	if err := cluster.Replica(0, 1).Kill(); err != nil {
		t.Fatal(err)
	}
	consume(sent).end(t)

	each := int64(sent / 8) // of each queue so many are consumed
	backlog()
	a := admin.New(client)
	var left, expired int64
	// Brokers before 5.0 begin a minute after their start, and delete ten files in ten seconds.
	within(t, 4*time.Minute, "messages expired", func() bool {
		for _, command := range []string{"deleteExpiredCommitLog", "cleanExpiredCQ"} {
			if out, err := cluster.Admin(t.Context(), command, "-c", testcluster.ClusterName); err != nil {
				t.Fatal(err, out)
			}
		}
		left, expired = 0, 0
		ranges, err := a.TopicOffsets(t.Context(), "orders")
		for _, q := range ranges {
			left += q.Max - max(q.Min, each)
			expired += max(q.Min-each, 0)
		}
		return err == nil && expired > 0
	})
	c := consume(sent - int(expired))
	var skipped int64
	for _, q := range c.Stats().Topics["orders"].Queues {
		skipped += q.Skipped
	}
	if skipped != expired || left+expired != 2000 {
		t.Errorf("%d skipped; %d had expired, %d were left", skipped, expired, left)
	}
	c.end(t)
}

// readBytes counts what is read from each server.
type readBytes struct {
	mu sync.Mutex
	by map[string]int
}

func (r *readBytes) of(address string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[address]
}

func (r *readBytes) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	return &readConn{conn, r, address}, err
}

type readConn struct {
	net.Conn
	of      *readBytes
	address string
}

func (c *readConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.by[c.address] += n
	return n, err
}
