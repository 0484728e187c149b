package main

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestDemo(t *testing.T) {
	t.Setenv("NAMESRV", "")
	t.Setenv("REAL", "")
	slog.SetDefault(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := demo(ctx, 200, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, line := range []string{
		"demo-red  [========================================] 200 of 200 orders settled",
		"   demo-red   200      198            20             2                  0       48",
		"  demo-blue   200      198            20             2                  0       16",
		"demo-red was given 48 workers in place of 16 while it worked",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in:\n%s", line, out.String())
		}
	}
}
