package rocketkit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
)

func TestCredentialsFromEnv(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secret := file("secret", "in a file\n")
	cfg, err := rocketkit.FromEnv(environment(map[string]string{
		"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_ACCESS_KEY": " ak ", "ROCKETKIT_SECRET_KEY_FILE": secret, "ROCKETKIT_SECURITY_TOKEN": "token",
	}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := cfg.Credentials(t.Context())
	if err != nil || got.AccessKey != "ak" || got.SecretKey != "in a file" || got.SecurityToken != "token" || got.Refresh != 10*time.Second || !got.Expires.IsZero() {
		t.Errorf("%#v, %v", got, err)
	}
	file("secret", "rotated")
	if got, err = cfg.Credentials(t.Context()); err != nil || got.SecretKey != "rotated" {
		t.Errorf("%s, %v", got.SecretKey, err)
	}
	file("secret", " \n")
	if got, err = cfg.Credentials(t.Context()); err == nil || !strings.Contains(err.Error(), "ROCKETKIT_SECRET_KEY_FILE: "+secret+" is empty") {
		t.Errorf("%s, %v", got.SecretKey, err)
	}
}

func TestSecureFromEnvErrors(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("-"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		variables map[string]string
		says      string
	}{
		"neither on nor off":    {map[string]string{"ROCKETKIT_TLS": "yes, please"}, `ROCKETKIT_TLS: "yes, please" is neither on nor off`},
		"CA without TLS":        {map[string]string{"ROCKETKIT_TLS_CA": missing}, "ROCKETKIT_TLS: not set"},
		"no CA file":            {map[string]string{"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CA": missing}, "ROCKETKIT_TLS_CA: open " + missing},
		"CA file of nonsense":   {map[string]string{"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CA": nonsense}, "ROCKETKIT_TLS_CA: " + nonsense + " holds no PEM"},
		"certificate, no key":   {map[string]string{"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CERT": nonsense}, "ROCKETKIT_TLS_KEY"},
		"key, no certificate":   {map[string]string{"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_KEY": nonsense}, "ROCKETKIT_TLS_CERT"},
		"certificate of junk":   {map[string]string{"ROCKETKIT_TLS": "on", "ROCKETKIT_TLS_CERT": nonsense, "ROCKETKIT_TLS_KEY": nonsense}, "ROCKETKIT_TLS_CERT: client certificate " + nonsense},
		"secret without access": {map[string]string{"ROCKETKIT_SECRET_KEY": "s"}, "ROCKETKIT_ACCESS_KEY: not set, but ROCKETKIT_SECRET_KEY is"},
		"access without secret": {map[string]string{"ROCKETKIT_ACCESS_KEY_FILE": nonsense}, "ROCKETKIT_SECRET_KEY: not set, but ROCKETKIT_ACCESS_KEY_FILE is"},
		"token alone":           {map[string]string{"ROCKETKIT_SECURITY_TOKEN": "t"}, "ROCKETKIT_ACCESS_KEY: not set, but ROCKETKIT_SECURITY_TOKEN is"},
		"both forms":            {map[string]string{"ROCKETKIT_ACCESS_KEY": "a", "ROCKETKIT_ACCESS_KEY_FILE": nonsense}, "ROCKETKIT_ACCESS_KEY: set together with ROCKETKIT_ACCESS_KEY_FILE"},
		"no secret file": {map[string]string{"ROCKETKIT_ACCESS_KEY": "a", "ROCKETKIT_SECRET_KEY_FILE": missing},
			"ROCKETKIT_SECRET_KEY_FILE: open " + missing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variables := map[string]string{"ROCKETKIT_NAMESRV": "a:1"}
			for name, value := range test.variables {
				variables[name] = value
			}
			_, err := rocketkit.FromEnv(environment(variables))
			if !errors.Is(err, rocketkit.ErrConfig) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v\ndoesn't say %q", err, test.says)
			}
		})
	}
}

// TestTLSOff: off wins over all other variables of TLS.
func TestTLSOff(t *testing.T) {
	t.Parallel()
	cfg, err := rocketkit.FromEnv(environment(map[string]string{"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_TLS": "off", "ROCKETKIT_TLS_CA": "/nowhere"}))
	if err != nil || cfg.TLS != nil {
		t.Errorf("%v, %v", cfg.TLS, err)
	}
}

// TestCredentialsKeepTheirSecrets: no verb and no log prints them.
func TestCredentialsKeepTheirSecrets(t *testing.T) {
	t.Parallel()
	c := rocketkit.Credentials{AccessKey: "ak", SecretKey: "hush", SecurityToken: "quiet", Expires: time.Unix(0, 0).UTC()}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "c", c, "p", &c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c), fmt.Sprintf("%v", &c), log.String()} {
		if strings.Contains(text, "hush") || strings.Contains(text, "quiet") || !strings.Contains(text, "ak until 1970-01-01T00:00:00Z") {
			t.Error(text)
		}
	}
}

// TestStaticCredentials are never asked for again.
func TestStaticCredentials(t *testing.T) {
	t.Parallel()
	c, err := rocketkit.StaticCredentials("a", "s", "t")(context.Background())
	if want := (rocketkit.Credentials{AccessKey: "a", SecretKey: "s", SecurityToken: "t"}); c != want || err != nil {
		t.Errorf("%v, %v", c, err)
	}
}
