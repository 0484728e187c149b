package rocketkit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit"
)

func TestSettingsFromEnv(t *testing.T) {
	t.Parallel()
	one, other := bytes.Repeat([]byte{1}, ed25519.PublicKeySize), bytes.Repeat([]byte{2}, ed25519.PublicKeySize)
	text := base64.StdEncoding.EncodeToString
	for name, test := range map[string]struct {
		variables map[string]string
		want      rocketkit.Settings
	}{
		"unset":    {nil, rocketkit.Settings{}},
		"empty":    {map[string]string{"ROCKETKIT_SETTINGS": "", "ROCKETKIT_SETTINGS_KEYS": " ", "ROCKETKIT_SETTINGS_CACHE": " "}, rocketkit.Settings{}},
		"on":       {map[string]string{"ROCKETKIT_SETTINGS": "on"}, rocketkit.Settings{}},
		"off":      {map[string]string{"ROCKETKIT_SETTINGS": " Off "}, rocketkit.Settings{Off: true}},
		"false":    {map[string]string{"ROCKETKIT_SETTINGS": "false"}, rocketkit.Settings{Off: true}},
		"no cache": {map[string]string{"ROCKETKIT_SETTINGS_CACHE": "off"}, rocketkit.Settings{CacheDir: "off"}},
		"all": {
			map[string]string{"ROCKETKIT_SETTINGS_CACHE": "/var/cache/x", "ROCKETKIT_SETTINGS_KEYS": text(one) + " , " + text(other) + ","},
			rocketkit.Settings{CacheDir: "/var/cache/x", Keys: []ed25519.PublicKey{one, other}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := map[string]string{"ROCKETKIT_NAMESRV": "a:1"}
			for name, value := range test.variables {
				variables[name] = value
			}
			cfg, err := rocketkit.FromEnv(environment(variables))
			if err != nil || !reflect.DeepEqual(cfg.Settings, test.want) {
				t.Errorf("%+v, %v", cfg.Settings, err)
			}
		})
	}
	for _, bad := range [][2]string{
		{"ROCKETKIT_SETTINGS", "maybe"},
		{"ROCKETKIT_SETTINGS_KEYS", text(one) + "," + text(one[:31])},
		{"ROCKETKIT_SETTINGS_KEYS", " , "}, // no way to take documents of just anybody
	} {
		name, value := bad[0], bad[1]
		cfg, err := rocketkit.FromEnv(environment(map[string]string{"ROCKETKIT_NAMESRV": "a:1", name: value}))
		if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), name+":") || !reflect.DeepEqual(cfg, rocketkit.Config{}) {
			t.Errorf("%+v, %v", cfg, err)
		}
	}
	_, err := rocketkit.FromEnv(environment(map[string]string{"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_SETTINGS_KEYS": "x=y=z"}))
	if err == nil || !strings.Contains(err.Error(), "no Ed25519 public key in base64") {
		t.Error(err)
	}
}

// TestSwitches: every variable that is on or off takes the same words.
func TestSwitches(t *testing.T) {
	t.Parallel()
	for name, on := range map[string]func(rocketkit.Config) bool{
		"ROCKETKIT_TLS":      func(c rocketkit.Config) bool { return c.TLS != nil },
		"ROCKETKIT_TRACE":    func(c rocketkit.Config) bool { return c.Trace.On },
		"ROCKETKIT_SETTINGS": func(c rocketkit.Config) bool { return !c.Settings.Off },
	} {
		for word, want := range map[string]bool{
			"on": true, "true": true, "1": true, "ON": true, " True ": true, "off": false, "false": false, "0": false, "OFF": false,
		} {
			cfg, err := rocketkit.FromEnv(environment(map[string]string{"ROCKETKIT_NAMESRV": "a:1", name: word}))
			if err != nil || on(cfg) != want {
				t.Errorf("%s=%s: %t, %v", name, word, on(cfg), err)
			}
		}
		for _, word := range []string{"yes", "2", "onoff", "t"} {
			_, err := rocketkit.FromEnv(environment(map[string]string{"ROCKETKIT_NAMESRV": "a:1", name: word}))
			if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), name+": \""+word+"\" is neither on nor off") {
				t.Errorf("%s=%s: %v", name, word, err)
			}
		}
	}
}

func TestSettingsOfAClient(t *testing.T) {
	t.Parallel()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Skip("this machine has no directory for caches")
	}
	public := ed25519.PublicKey(bytes.Repeat([]byte{1}, ed25519.PublicKeySize))
	for name, test := range map[string]struct{ given, want rocketkit.Settings }{
		"defaults": {rocketkit.Settings{}, rocketkit.Settings{CacheDir: filepath.Join(dir, "rocketkit", "settings")}},
		"no cache": {rocketkit.Settings{CacheDir: "off", Off: true}, rocketkit.Settings{Off: true}},
		"no CACHE": {rocketkit.Settings{CacheDir: "OFF"}, rocketkit.Settings{}},
		"all":      {rocketkit.Settings{CacheDir: "here", Keys: []ed25519.PublicKey{public}}, rocketkit.Settings{CacheDir: "here", Keys: []ed25519.PublicKey{public}}},
	} {
		client, err := rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Settings: test.given, Dial: refused})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = client.Close(context.Background()) }()
		red, err := client.For("red", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []*rocketkit.Client{client, red} {
			if got := c.Settings(); !reflect.DeepEqual(got, test.want) {
				t.Errorf("%s: %+v, want %+v", name, got, test.want)
			}
		}
		if keys := client.Settings().Keys; len(keys) > 0 {
			test.given.Keys[0] = nil // changed by the caller
			if client.Settings().Keys[0] == nil {
				t.Error("the caller's slice is shared")
			}
		}
	}
	_, err = rocketkit.Open(rocketkit.Config{NameServers: []string{"a:1"}, Settings: rocketkit.Settings{Keys: []ed25519.PublicKey{public, public[:5]}}})
	if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), "Settings.Keys[1]: 5 bytes") {
		t.Error(err)
	}
}
