package consumer

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/engine"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

type refund struct {
	Order  string `json:"order"`
	Amount int    `json:"amount"`
	Lines  []struct {
		Item string `json:"item"`
	} `json:"lines"`
}

func received(body string) *rocketkit.Message {
	m := rocketkit.Received(&protocol.Message{Body: []byte(body)}, "refunds", rocketkit.Queue{})
	return &m
}

func TestJSON(t *testing.T) {
	t.Parallel()
	errBusy := errors.New("busy")
	var got []refund
	handler := JSON(func(_ context.Context, m *rocketkit.Message, r refund) error {
		got = append(got, r)
		if m.Topic() != "refunds" {
			t.Errorf("topic %s", m.Topic())
		}
		return errBusy
	})
	if err := handler(t.Context(), received(`{"order": "o-7", "amount": 12, "unknown": true}`)); !errors.Is(err, errBusy) {
		t.Errorf("the handler's error became %v", err)
	}
	if len(got) != 1 || got[0].Order != "o-7" || got[0].Amount != 12 {
		t.Errorf("got %+v", got)
	}
	pointer := JSON(func(_ context.Context, _ *rocketkit.Message, r *refund) error {
		if r.Order != "o-8" {
			t.Errorf("got %+v", r)
		}
		return nil
	})
	if err := pointer(t.Context(), received(`{"order": "o-8"}`)); err != nil {
		t.Error(err)
	}
	// Nothing of one message shows in the next.
	if _ = handler(t.Context(), received(`{}`)); got[1].Order != "" {
		t.Errorf("got %+v after another", got[1])
	}
}

// TestUndecodable: what isn't JSON of the type is a dead letter, and its error says where.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	handler := JSON(func(_ context.Context, m *rocketkit.Message, _ refund) error {
		t.Errorf("the handler was called for %s", m.Body())
		return nil
	})
	for body, parts := range map[string][]string{
		"":                 {"body is empty", "consumer.refund"},
		" \n":              {"body is empty"},
		`{"order": o-7}`:   {"consumer.refund", "at byte 11 of 14", "invalid character 'o'"},
		`{"order": "o-7"`:  {"at byte 15 of 15", "unexpected end"},
		`{"amount": "12"}`: {"at byte 15 of 16", "amount", "string", "int"},
		`{"lines": [{"item": "a"}, {"item": 3}]}`: {"lines.item", "number"},
		`{} {}`: {"at byte 4 of 5", "after top-level value"},
	} {
		err := handler(t.Context(), received(body))
		var verdict *engine.Verdict
		if !errors.As(err, &verdict) || verdict.Action != engine.DeadLetter {
			t.Errorf("%q: %v, want a dead letter", body, err)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q is not in: %v", body, part, err)
			}
		}
	}
}
