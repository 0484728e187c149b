package mqtest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

func newPipe(t *testing.T) (net.Conn, net.Conn) {
	a, b := pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

func TestPipeCarriesBothWays(t *testing.T) {
	a, b := newPipe(t)
	payload := bytes.Repeat([]byte("rocket"), pipeBuffer) // more than fits at once
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			if n, err := way[0].Write(payload); n != len(payload) || err != nil {
				t.Error(n, err)
			}
		}()
		got := make([]byte, len(payload))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, payload) {
			t.Fatal(err)
		}
	}
	if a.LocalAddr().String() != b.RemoteAddr().String() {
		t.Error("addresses disagree")
	}
}

func TestPipeEnds(t *testing.T) {
	a, b := newPipe(t)
	if _, err := a.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if got, err := io.ReadAll(b); string(got) != "last" || err != nil {
		t.Fatal(string(got), err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe(t)
		begin := time.Now()
		a.SetReadDeadline(begin.Add(time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != time.Second {
			t.Fatal(err, time.Since(begin))
		}
		a.SetReadDeadline(time.Time{})
		go b.Write([]byte("x"))
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write(make([]byte, 2*pipeBuffer)); n != pipeBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(n, err)
		}
		a.SetDeadline(time.Now().Add(-time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { b.Close() })
		a.SetDeadline(time.Now().Add(time.Hour))
		if _, err := a.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
	})
}

func TestScheduleKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule()
		defer s.close()
		var got []int
		for i, wait := range []time.Duration{3, 1, 2, 1, 0} {
			s.after(wait*time.Second, func() { got = append(got, i) })
		}
		gone := s.after(2*time.Second, func() { t.Error("it was cancelled") })
		s.cancel(gone)
		s.cancel(gone)
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []int{4, 1, 3, 2, 0}
		for i := range want {
			if got[i] != want[i] {
				t.Fatal(got)
			}
		}
		s.after(time.Second, func() { got = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got != nil {
			t.Error("nothing ran after a pause")
		}
	})
}
