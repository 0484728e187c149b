package conformance

import (
	"slices"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/testcluster"
	"github.com/rocketkit/rocketkit/reader"
)

// 32 callers send while a broker is restarted, killed, frozen, read-only and busy: what was acknowledged is there, what
// wasn't returned an error within its context, nobody hangs, and the broker is sent to again once it is well.
func TestSendFaultsOneMaster(t *testing.T) {
	testSendFaults(t, 1, []sendFault{{"killed", killed}, {"frozen", frozen}, {"read-only", readOnly}, {"busy", busy}})
}

func TestSendFaultsTwoMasters(t *testing.T) {
	testSendFaults(t, 2, []sendFault{{"killed", killed}, {"restarted", restarted}, {"frozen", frozen}, {"read-only", readOnly}})
}

// sendFault breaks the last broker of a cluster and mends it again; it tells when the broker was well.
type sendFault struct {
	name   string
	strike func(t *testing.T, s *sendRig) (well time.Time)
}

func testSendFaults(t *testing.T, masters int, faults []sendFault) {
	t.Parallel()
	s := newSendRig(t, masters)
	for _, fault := range faults {
		s.traffic.awaitStored(t, s.broker.Name(), 1000)
		failed := s.traffic.failed.Load()
		well := fault.strike(t, s)
		s.traffic.awaitStored(t, s.broker.Name(), 1)
		first := time.Since(well)
		s.traffic.awaitEveryCaller(t, well)
		t.Logf("%s: sent to again %v after the broker was well, all callers' calls work after %v; %d failed", fault.name,
			first.Round(time.Millisecond), time.Since(well).Round(time.Millisecond), s.traffic.failed.Load()-failed)
	}
	s.traffic.awaitStored(t, s.broker.Name(), 100)
	s.traffic.end(t)
	s.readBack(t)
}

// sendRig is a cluster of the test's own, the broker that it hurts, and 32 callers.
type sendRig struct {
	client  *rocketkit.Client
	broker  *testcluster.Node
	other   string // a broker's name that stays well; empty when there is none
	topic   string // physical
	traffic *sendTraffic
}

func newSendRig(t *testing.T, masters int) *sendRig {
	t.Helper()
	cluster := testcluster.Run(t, testcluster.Config{Brokers: masters})
	on := target{"real", cluster.NameServers()}
	tenant := tenantOf(t, "")
	s := &sendRig{client: on.open(t, tenant), broker: cluster.Broker(masters - 1), topic: tenant + "%orders"}
	if masters > 1 {
		s.other = cluster.Broker(0).Name()
	}
	topic(t, s.client, "orders")
	s.traffic = startTraffic(t, s.client)
	return s
}

// othersGoOn waits until others take what the broker doesn't.
func (s *sendRig) othersGoOn(t *testing.T) {
	t.Helper()
	if s.other != "" {
		s.traffic.awaitStored(t, s.other, 100)
	}
}

func killed(t *testing.T, s *sendRig) time.Time {
	if err := s.broker.Kill(); err != nil {
		t.Fatal(err)
	}
	return s.startAgain(t)
}

func restarted(t *testing.T, s *sendRig) time.Time {
	if err := s.broker.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s.startAgain(t)
}

func (s *sendRig) startAgain(t *testing.T) time.Time {
	t.Helper()
	s.othersGoOn(t)
	if err := s.broker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// frozen lasts until calls have failed for it: those who were with the broker have waited for all of their contexts.
func frozen(t *testing.T, s *sendRig) time.Time {
	failed := s.traffic.failed.Load()
	if err := s.broker.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "calls fail", func() bool { return s.traffic.failed.Load() > failed })
	s.othersGoOn(t)
	if err := s.broker.Resume(); err != nil {
		t.Fatal(err)
	}
	return time.Now()
}

// readOnly takes the broker's queues out of the route, which is asked for here rather than within 30 s. The broker itself
// takes what is sent to it all the same.
func readOnly(t *testing.T, s *sendRig) time.Time {
	s.set(t, "brokerPermission=4")
	eventually(t, "the route lacks the broker", func() bool { return !s.writable(t) })
	s.othersGoOn(t)
	s.set(t, "brokerPermission=6")
	well := time.Now()
	if s.other != "" { // nobody is in trouble and asks
		eventually(t, "the route has the broker", func() bool { return s.writable(t) })
	}
	return well
}

func (s *sendRig) writable(t *testing.T) bool {
	t.Helper()
	r, err := s.client.Cluster().Routes().Refresh(t.Context(), s.topic)
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(r.Write, func(q protocol.Queue) bool { return q.Broker == s.broker.Name() })
}

// busy has the broker refuse what has to wait, or finds its log locked.
func busy(t *testing.T, s *sendRig) time.Time {
	s.set(t, "osPageCacheBusyTimeOutMills=-1\nwaitTimeMillsInSendQueue=0")
	refused := 0
	eventually(t, "the broker refuses sends", func() bool {
		req := protocol.SendMessage{ProducerGroup: "probe", Topic: s.topic, Body: []byte("probe"), Properties: protocol.Properties{}}
		answer, err := s.client.Cluster().Call(t.Context(), s.broker.Address(), req.Frame())
		if err == nil && answer.Code == protocol.CodeSystemBusy {
			refused++
		}
		return refused >= 3
	})
	s.set(t, "osPageCacheBusyTimeOutMills=1000\nwaitTimeMillsInSendQueue=200")
	return time.Now()
}

// set changes a setting of the broker (UPDATE_BROKER_CONFIG).
func (s *sendRig) set(t *testing.T, properties string) {
	t.Helper()
	req := &frame.Frame{Code: protocol.ReqUpdateBrokerConfig, Body: []byte(properties + "\n")}
	if _, err := s.client.Cluster().Invoke(t.Context(), s.broker.Address(), req); err != nil {
		t.Fatal(err)
	}
}

// readBack compares what the topic holds with what was acknowledged.
func (s *sendRig) readBack(t *testing.T) {
	t.Helper()
	r, err := reader.New(s.client, reader.Config{Topic: "orders", Start: reader.Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	missing := s.traffic.acknowledged
	total := len(missing)
	ctx, cancel := withPatience(t)
	defer cancel()
	for m, err := range r.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if delete(missing, string(m.Body())); len(missing) == 0 {
			break
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d acknowledged messages are not there", len(missing), total)
	}
	t.Logf("%d messages were acknowledged, %d calls failed", total, s.traffic.failed.Load())
}
