package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// promstore is Prometheus's engine over scrapes that are kept in memory.
type promstore struct {
	engine *promql.Engine
	series map[string]*series // by labels
	last   int64              // when the last scrape was, in ms
}

type series struct {
	labels  labels.Labels
	samples []chunks.Sample
}

type sample struct {
	t int64
	v float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.v }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

func newPromstore(t *testing.T) *promstore {
	t.Helper()
	p := &promstore{
		engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: patience}),
		series: map[string]*series{},
	}
	t.Cleanup(func() {
		if err := p.engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// take stores a scrape, as of a moment.
func (p *promstore) take(text string, at time.Time) error {
	parser, err := textparse.New([]byte(text), "text/plain", labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	p.last = at.UnixMilli()
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, _, value := parser.Series()
		var l labels.Labels
		parser.Labels(&l)
		b := labels.NewBuilder(l)
		b.Set("instance", "127.0.0.1:9464") // as Prometheus does
		l = b.Labels()
		key := l.String()
		if p.series[key] == nil {
			p.series[key] = &series{labels: l}
		}
		p.series[key].samples = append(p.series[key].samples, sample{at.UnixMilli(), value})
	}
}

// Querier makes promstore a storage.Queryable.
func (p *promstore) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		var found []storage.Series
		for _, s := range p.series {
			if matches(s.labels, matchers) {
				found = append(found, storage.NewListSeries(s.labels, s.samples))
			}
		}
		return &seriesSet{all: found}
	}}, nil
}

func matches(l labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(l.Get(m.Name)) {
			return false
		}
	}
	return true
}

// query gives the values of an expression, an error where it has none.
func (p *promstore) query(ctx context.Context, expr string, at time.Time) ([]promql.Sample, error) {
	q, err := p.engine.NewInstantQuery(ctx, p, nil, expr, at)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	vector, err := result.Vector()
	if err != nil {
		return nil, err
	}
	for _, s := range vector {
		if !math.IsNaN(s.F) {
			return vector, nil
		}
	}
	return nil, fmt.Errorf("no data: %v", vector)
}

// seriesSet is a list of series, ordered by nobody: the engine doesn't ask for that.
type seriesSet struct {
	all []storage.Series
	at  int
}

func (s *seriesSet) Next() bool                      { s.at++; return s.at <= len(s.all) }
func (s *seriesSet) At() storage.Series              { return s.all[s.at-1] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }

// checkMetrics fails for a name in an expression that no scrape had.
func (p *promstore) checkMetrics(expr string) error {
	parsed, err := parser.ParseExpr(expr)
	if err != nil {
		return err
	}
	var unknown []string
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && !p.has(v.LabelMatchers) {
			unknown = append(unknown, v.String())
		}
		return nil
	})
	if len(unknown) > 0 {
		return fmt.Errorf("nothing was measured of %s", strings.Join(unknown, ", "))
	}
	return nil
}

func (p *promstore) has(matchers []*labels.Matcher) bool {
	for _, s := range p.series {
		if matches(s.labels, matchers) {
			return true
		}
	}
	return false
}
