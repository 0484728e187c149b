package mqtest

import (
	"context"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// client drives a cluster with bare requests.
type client struct {
	t        *testing.T
	cluster  *Cluster
	id       string
	remote   *remoting.Client
	requests chan *frame.Frame               // from brokers
	answer   func(*frame.Frame) *frame.Frame // to brokers; nil answers nothing
}

func newClient(t *testing.T, c *Cluster) *client {
	t.Helper()
	cfg := c.Config()
	cl := &client{t: t, cluster: c, id: "10.0.0.1@" + cfg.Instance, requests: make(chan *frame.Frame, 1000)}
	cl.remote = remoting.New(remoting.Config{
		Dial: remoting.DialFunc(cfg.Dial),
		Handle: func(_ context.Context, _ string, req *frame.Frame) *frame.Frame {
			cl.requests <- req
			if cl.answer == nil {
				return nil
			}
			return cl.answer(req)
		},
	})
	t.Cleanup(func() { cl.remote.Close() })
	return cl
}

// call sends a request to a broker ("" is the first) or name server and returns its answer.
func (cl *client) call(server string, req *frame.Frame) *frame.Frame {
	cl.t.Helper()
	f, err := cl.try(server, req, 30*time.Second)
	if err != nil {
		cl.t.Fatalf("%s: %v", protocol.RequestName(req.Code), err)
	}
	return f
}

func (cl *client) try(server string, req *frame.Frame, limit time.Duration) (*frame.Frame, error) {
	if server == "" {
		server = "broker-a"
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return cl.remote.Call(ctx, cl.address(server), req)
}

func (cl *client) address(server string) string {
	for _, s := range cl.cluster.servers() {
		if s.name == server {
			return s.address.String()
		}
	}
	cl.t.Fatalf("no server %s", server)
	return ""
}

// ok is call for a request that must succeed.
func (cl *client) ok(req *frame.Frame) *frame.Frame {
	cl.t.Helper()
	f := cl.call("", req)
	if err := protocol.Check(req.Code, f); err != nil {
		cl.t.Fatal(err)
	}
	return f
}

// refused is call for a request that must be answered with a code.
func (cl *client) refused(code int32, req *frame.Frame) {
	cl.t.Helper()
	if f := cl.call("", req); f.Code != code {
		cl.t.Fatalf("%s answered with %s %q, want %s", protocol.RequestName(req.Code), protocol.CodeName(f.Code), f.Remark, protocol.CodeName(code))
	}
}

func (cl *client) send(topic, body string, props ...string) protocol.SendResult {
	cl.t.Helper()
	r, err := protocol.ParseSendResult(cl.call("", sendRequest(topic, body, props...).Frame()))
	if err != nil {
		cl.t.Fatal(err)
	}
	return r
}

func sendRequest(topic, body string, props ...string) protocol.SendMessage {
	var block []byte
	for i := 0; i < len(props); i += 2 {
		block = protocol.AppendProperty(block, props[i], props[i+1])
	}
	return protocol.SendMessage{
		ProducerGroup: "p", Topic: topic, Body: []byte(body), Properties: block, BornTime: time.Now().UnixMilli(),
	}
}

func pullRequest(group, topic string, offset int64) protocol.PullMessage {
	return protocol.PullMessage{
		Group: group, Topic: topic, Offset: offset, MaxMessages: 32, Subscription: "*",
		SysFlag: protocol.PullSubscription,
	}
}

func (cl *client) pull(p protocol.PullMessage) protocol.PullResult {
	cl.t.Helper()
	r, err := protocol.ParsePullResult(cl.call("", p.Frame()))
	if err != nil {
		cl.t.Fatal(err)
	}
	return r
}

// messages pulls once and returns what was found.
func (cl *client) messages(group, topic string, offset int64) []protocol.Message {
	cl.t.Helper()
	r := cl.pull(pullRequest(group, topic, offset))
	msgs, err := protocol.DecodeMessages(r.Body, topic)
	if err != nil {
		cl.t.Fatal(err)
	}
	return msgs
}

func (cl *client) join(group string, topics ...string) {
	cl.t.Helper()
	cl.ok(cl.beat(group, topics...))
}

func (cl *client) beat(group string, topics ...string) *frame.Frame {
	data := protocol.ConsumerData{Group: group}
	for _, topic := range topics {
		s, err := protocol.SubscriptionFor(topic, "*")
		if err != nil {
			cl.t.Fatal(err)
		}
		data.Subscriptions = append(data.Subscriptions, s)
	}
	return protocol.Heartbeat{ClientID: cl.id, Consumers: []protocol.ConsumerData{data}}.Frame()
}

// notices counts the requests with a code that brokers sent and nobody has looked at; call synctest.Wait before.
func (cl *client) notices(code int32) (n int) {
	for {
		select {
		case req := <-cl.requests:
			if req.Code == code {
				n++
			}
		default:
			return n
		}
	}
}
