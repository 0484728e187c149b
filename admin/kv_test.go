package admin_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/admin"
)

func TestKV(t *testing.T) {
	t.Parallel()
	f := newFake()
	kv := f.open(t, "red").KV("settings")
	if _, found, err := kv.Get(t.Context(), "k"); found || err != nil {
		t.Errorf("before: %t, %v", found, err)
	}
	if err := kv.Put(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	for _, at := range []admin.KV{kv, kv.At(names1), kv.At(names2)} {
		if value, found, err := at.Get(t.Context(), "k"); value != "v" || !found || err != nil {
			t.Errorf("got %q, %t, %v", value, found, err)
		}
		if table, err := at.List(t.Context()); err != nil || !maps.Equal(table, map[string]string{"k": "v"}) {
			t.Errorf("got %v, %v", table, err)
		}
	}
	if err := kv.At(names2).Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, first, _ := kv.At(names1).Get(t.Context(), "k")
	_, second, err := kv.At(names2).Get(t.Context(), "k")
	if !first || second || err != nil {
		t.Errorf("deleting on one: %t, %t, %v", first, second, err)
	}
	if err := kv.Delete(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

func TestKVNamesTheServerThatMissedAWrite(t *testing.T) {
	t.Parallel()
	f := newFake()
	f.down[names2] = true
	kv := f.open(t, "").KV("settings")
	for _, err := range []error{kv.Put(t.Context(), "k", "v"), kv.Delete(t.Context(), "k")} {
		var partial *admin.PartialError
		if !errors.As(err, &partial) || !slices.Equal(partial.Done, []string{"name server " + names1}) || partial.Failed[0].Address != names2 {
			t.Errorf("got %v", err)
		}
		if !strings.Contains(err.Error(), "kv settings/k: done on name server "+names1+", not on name server "+names2) {
			t.Errorf("got %v", err)
		}
	}
	if _, found, err := kv.Get(t.Context(), "k"); found || err != nil {
		t.Errorf("reading goes on with the other: %t, %v", found, err)
	}
}
