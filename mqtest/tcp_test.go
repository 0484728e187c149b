package mqtest

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

func TestRestartOverTCP(t *testing.T) {
	t.Parallel()
	c := New(t, Config{TCP: true, Topics: map[string]int{"orders": 1}})
	cl := newClient(t, c)
	cl.send("orders", "before")
	if err := c.Stop("broker-a"); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.try("broker-a", sendRequest("orders", "x").Frame(), time.Second); err == nil {
		t.Fatal("a stopped broker answered")
	}
	if err := c.Restart("broker-a"); err != nil {
		t.Fatal(err)
	}
	cl.remote.Drop(cl.address("broker-a")) // forgets that a dial has failed
	if n := len(cl.messages("g", "orders", 0)); n != 1 {
		t.Fatal(n)
	}
	p := c.Partition(cl.id, "broker-a")
	if _, err := cl.try("broker-a", protocol.MaxOffset{Topic: "orders"}.Frame(), 100*time.Millisecond); err == nil {
		t.Fatal("answered through a partition")
	}
	p.Heal()
	cl.send("orders", "after")
}

func TestGarbageEndsTheConnection(t *testing.T) {
	t.Parallel()
	c := New(t, Config{TCP: true})
	for name, bytes := range map[string]string{
		"http":            "GET / HTTP/1.1\r\n\r\n",
		"negative length": "\xff\xff\xff\xff\x00\x00\x00\x00",
		"no header":       "\x00\x00\x00\x08\x00\x00\x00\x04{]{]",
	} {
		nc, err := net.Dial("tcp", c.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write([]byte(bytes)); err != nil {
			t.Fatal(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := nc.Read(make([]byte, 1)); n != 0 || err == nil || err == io.ErrNoProgress {
			t.Errorf("%s: %d, %v", name, n, err)
		}
		nc.Close()
	}
}

func TestAClusterForEachTest(t *testing.T) {
	t.Parallel()
	for range 3 {
		c, err := Start(Config{Brokers: 3, NameServers: 2})
		if err != nil {
			t.Fatal(err)
		}
		cl := newClient(t, c)
		cl.join("g")
		for range 2 {
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := cl.try("broker-a", protocol.MaxOffset{Topic: "x"}.Frame(), time.Second); err == nil {
			t.Fatal("a closed cluster answered")
		}
	}
}
