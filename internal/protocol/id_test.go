package protocol

import (
	"net/netip"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestIDsCarryAddressProcessAndTime(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.March, 1, 0, 0, 0, 0, time.UTC)
	for address, prefix := range map[string]string{
		"10.1.2.3":        "0A010203",
		"::ffff:10.1.2.3": "0A010203",
		"2001:db8::1":     "20010DB8000000000000000000000001",
		"":                "00000000",
	} {
		ip, _ := netip.ParseAddr(address)
		ids := NewIDs(ip, 0x12345)
		id := ids.Next(start.Add(1234 * time.Millisecond))
		want := regexp.MustCompile("^" + prefix + "2345" + "[0-9A-F]{8}" + "000004D2" + "[0-9A-F]{4}$")
		if !want.MatchString(id) {
			t.Errorf("%s: id %s", address, id)
		}
	}
}

func TestIDsOfTwoRunsDiffer(t *testing.T) {
	t.Parallel()
	ip, now := netip.MustParseAddr("10.1.2.3"), time.Now()
	a, b := NewIDs(ip, 1).Next(now), NewIDs(ip, 1).Next(now)
	if a[12:20] == b[12:20] {
		t.Errorf("%s and %s share the bytes that tell runs apart", a, b)
	}
}

func TestIDsFollowTheMonth(t *testing.T) {
	t.Parallel()
	ids := NewIDs(netip.Addr{}, 1)
	millis := func(now time.Time) int64 {
		n, err := strconv.ParseInt(ids.Next(now)[20:28], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	end := time.Date(2026, time.March, 31, 23, 59, 59, 0, time.UTC)
	if n := millis(end); n != 31*24*3600*1000-1000 {
		t.Errorf("at the end of a month: %d ms", n)
	}
	if n := millis(end.Add(time.Second)); n != 0 {
		t.Errorf("at the beginning of the next: %d ms", n)
	}
	if n := millis(end); n != 31*24*3600*1000-1000 {
		t.Errorf("after the clock went back: %d ms", n)
	}
}

func TestIDsAreDistinct(t *testing.T) {
	t.Parallel()
	ids, now := NewIDs(netip.MustParseAddr("10.1.2.3"), 1), time.Now()
	const workers, each = 8, 1000
	var mu sync.Mutex
	seen := make(map[string]bool, workers*each)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range each {
				id := ids.Next(now)
				mu.Lock()
				seen[id] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != workers*each {
		t.Errorf("%d distinct ids of %d", len(seen), workers*each)
	}
}
