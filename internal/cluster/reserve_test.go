package cluster

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestReserveIsSharedAndGivenBack(t *testing.T) {
	c := &Cluster{}
	first, second := c.Reserve(), c.Reserve()
	if len(c.reserve.held) != reserveBytes {
		t.Fatalf("%d bytes are held", len(c.reserve.held))
	}
	first()
	if c.reserve.held == nil {
		t.Error("given back while it is used")
	}
	second()
	if c.reserve.held != nil {
		t.Error("kept by nobody")
	}
}

func TestReserveLeavesSmallProcessesAlone(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(reserveLimit - 1))
	c := &Cluster{}
	defer c.Reserve()()
	if c.reserve.held != nil {
		t.Error("memory is set aside that the process doesn't have")
	}
	debug.SetMemoryLimit(math.MaxInt64)
	defer c.Reserve()()
	if c.reserve.held == nil {
		t.Error("no memory is set aside without a limit")
	}
}
