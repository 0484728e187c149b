package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/consumer"
	"github.com/rocketkit/rocketkit/mqtest"
	"github.com/rocketkit/rocketkit/producer"
)

const dashboardFile = "../../docs/dashboards/rocketkit.json"

// dashboard is what the test reads of Grafana's format.
type dashboard struct {
	Templating struct {
		List []struct {
			Name, Type string
			Query      json.RawMessage
		}
	}
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// grafana puts in what Grafana does, with "All" chosen everywhere.
var grafana = strings.NewReplacer("$__rate_interval", "1m", "$tenant", ".*", "$topic", ".*", "$group", ".*")

// Every query of the dashboard is one to Prometheus's own engine, and finds data in what a service has measured that had
// some of every trouble.
func TestTheDashboardShowsData(t *testing.T) {
	p, at := measured(t)
	d := readDashboard(t)
	queries := 0
	for _, panel := range d.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%s asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries++
			expr := grafana.Replace(target.Expr)
			if strings.Contains(expr, "$") {
				t.Errorf("%s: an unknown variable in %s", panel.Title, expr)
			}
			if err := p.checkMetrics(expr); err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
			if _, err := p.query(t.Context(), expr, at); err != nil {
				t.Errorf("%s: %s: %v", panel.Title, target.Expr, err)
			}
		}
	}
	if queries < 20 {
		t.Errorf("only %d queries were found in %s", queries, dashboardFile)
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" {
			checkVariable(t, p, v.Name, v.Query)
		}
	}
}

// checkVariable looks whether a variable of the dashboard finds values.
func checkVariable(t *testing.T, p *promstore, name string, raw json.RawMessage) {
	t.Helper()
	var query struct{ Query string }
	if err := json.Unmarshal(raw, &query); err != nil {
		t.Fatal(err)
	}
	parts := regexp.MustCompile(`^label_values\((.*), (\w+)\)$`).FindStringSubmatch(query.Query)
	if parts == nil {
		t.Fatalf("$%s: %q is no label_values", name, query.Query)
	}
	found, err := p.query(t.Context(), fmt.Sprintf("count by (%s) (%s)", parts[2], parts[1]), time.UnixMilli(p.last))
	if err != nil || found[0].Metric.Get(parts[2]) == "" {
		t.Errorf("$%s: %s: %v, %v", name, query.Query, found, err)
	}
}

// A metric that isn't there is found out, or the test above would prove little.
func TestAWrongQueryIsFound(t *testing.T) {
	p := newPromstore(t)
	at := time.UnixMilli(1_000_000)
	for i := range 3 {
		if err := p.take(fmt.Sprintf("# TYPE a_total counter\na_total{x=\"1\"} %d\n", i), at.Add(time.Duration(i)*15*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.UnixMilli(p.last)
	if v, err := p.query(t.Context(), "sum by (x) (rate(a_total[1m]))", now); err != nil || len(v) != 1 || v[0].F <= 0 {
		t.Errorf("%v, %v", v, err)
	}
	for _, wrong := range []string{"sum(rate(b_total[1m]))", `a_total{x="2"}`, "histogram_quantile(0.5, rate(b_bucket[1m]))"} {
		if p.checkMetrics(wrong) == nil {
			t.Errorf("%s: nothing was missed", wrong)
		}
		if _, err := p.query(t.Context(), wrong, now); err == nil {
			t.Errorf("%s has data", wrong)
		}
	}
	if _, err := p.query(t.Context(), "sum(rate(a_total))", now); err == nil {
		t.Error("that's no query")
	}
}

// measured is four scrapes of a service of the tenant red with every trouble, 15 s from one to the next as Prometheus sees it.
func measured(t *testing.T) (p *promstore, at time.Time) {
	t.Helper()
	cluster := mqtest.New(t, mqtest.Config{Topics: map[string]int{"red%orders": 2, "red%audit": 1}, Logger: slog.New(slog.DiscardHandler)})
	listener := listen(t)
	m, err := serveMetrics(listener)
	if err != nil {
		t.Fatal(err)
	}
	cfg := cluster.Config()
	cfg.Tenant, cfg.MeterProvider = "red", m.provider
	client, err := rocketkit.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := startService(t, client)
	p, at = newPromstore(t), time.Now()
	for i := range 4 {
		s.trouble(t, cluster, i+1)
		if err := p.take(scrape(t, listener.Addr().String()), at); err != nil {
			t.Fatal(err)
		}
		at = at.Add(15 * time.Second)
	}
	s.stop()
	if err := errors.Join(client.Close(context.Background()), m.close(context.Background())); err != nil {
		t.Error(err)
	}
	return p, time.UnixMilli(p.last)
}

// service is a producer and a consumer.
type service struct {
	p    *producer.Producer
	c    *consumer.Consumer
	held chan struct{} // handlers of audit wait for it
	stop func()
}

func startService(t *testing.T, client *rocketkit.Client) *service {
	t.Helper()
	s := &service{held: make(chan struct{})}
	onOrder := func(ctx context.Context, m *rocketkit.Message) error {
		switch body := string(m.Body()); {
		case body == "retry" && m.Attempt() == 1:
			return consumer.RetryIn(time.Second, errors.New("the ledger is busy"))
		case body == "hopeless":
			return consumer.DeadLetter(errors.New("no such customer"))
		case body == "useless":
			return consumer.Drop(errors.New("booked already"))
		case body == "slow":
			<-ctx.Done()
		}
		return nil
	}
	onAudit := func(context.Context, *rocketkit.Message) error { <-s.held; return nil }
	var err error
	if s.p, err = producer.New(client, producer.Config{Group: "checkout"}); err != nil {
		t.Fatal(err)
	}
	s.c, err = consumer.New(client, consumer.Config{Group: "billing", Start: consumer.Earliest(), Topics: map[string]consumer.Topic{
		"orders": {Handler: onOrder, Workers: 4, Timeout: 100 * time.Millisecond},
		"audit":  {Handler: onAudit, Workers: 1, MaxWorkers: 2, Timeout: -1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.c.Run(ctx) }()
	s.stop = func() {
		close(s.held)
		cancel()
		if err := errors.Join(<-done, s.p.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-s.c.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return s
}

// trouble is some of each, for the nth time.
func (s *service) trouble(t *testing.T, cluster *mqtest.Cluster, n int) {
	t.Helper()
	busy := cluster.Inject(mqtest.Fault{Request: mqtest.RequestSend, Code: 2, Times: 1}) // SYSTEM_BUSY of ResponseCode
	for _, body := range []string{"fine", "retry", "hopeless", "useless", "slow"} {
		if _, err := s.p.Send(t.Context(), producer.Message{Topic: "orders", Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	busy.Remove()
	if _, err := s.p.Send(t.Context(), producer.Message{Topic: "nowhere", Body: []byte("fine")}); err == nil {
		t.Fatal("sent to a topic that doesn't exist")
	}
	if n == 1 {
		s.overload(t)
	}
	eventually(t, fmt.Sprintf("the orders of turn %d", n), func() bool {
		return s.c.Stats().Topics["orders"].Handled == int64(3*n) // fine, retry and slow; the others fail
	})
}

// overload sends more than a consumer holds whose workers are busy.
func (s *service) overload(t *testing.T) {
	t.Helper()
	batch := make([]producer.Message, 100)
	for i := range batch {
		batch[i] = producer.Message{Topic: "audit", Body: []byte("fine")}
	}
	for range 20 {
		if _, err := s.p.SendBatch(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "as much of audit as may be held", func() bool { return s.c.Stats().Topics["audit"].Cached >= 1024 })
}
