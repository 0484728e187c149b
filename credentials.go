package rocketkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
)

// Credentials are what brokers with ACLs know a process by. They print without their secrets. The zero Credentials are
// not valid.
type Credentials struct {
	AccessKey     string    // the user's name
	SecretKey     string    // the user's password; requests are signed with it, it is never sent
	SecurityToken string    // of credentials that were given for a time; empty means none
	Expires       time.Time // when brokers stop accepting them; zero means never

	// Refresh is after how long they are to be asked for again, at least 1 s; 0 means when a fifth of the time until
	// Expires is left, and never where that is zero. It is for those that change without saying when, such as files.
	Refresh time.Duration
}

// CredentialsFunc gives the credentials that requests are signed with. It is called at first need and then as the last
// Credentials say, by one goroutine at a time for all that its Client serves, and apart from requests: only one that
// finds no valid credentials waits. An error leaves the last ones in use until they expire, is logged once, and the
// function is called again after 1 s, 2 s, … 30 s. It has 30 s each time and must heed ctx, which also ends with
// Close.
type CredentialsFunc func(ctx context.Context) (Credentials, error)

// StaticCredentials gives the same credentials for ever. The token may be empty.
func StaticCredentials(accessKey, secretKey, securityToken string) CredentialsFunc {
	return func(context.Context) (Credentials, error) {
		return Credentials{AccessKey: accessKey, SecretKey: secretKey, SecurityToken: securityToken}, nil
	}
}

// Format prints the Credentials without their secrets, whatever the verb.
func (c Credentials) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(c.shown())) }

// LogValue logs the Credentials without their secrets.
func (c Credentials) LogValue() slog.Value { return slog.StringValue(c.shown()) }

func (c Credentials) shown() string {
	text := "access key " + c.AccessKey
	if !c.Expires.IsZero() {
		text += " until " + c.Expires.Format(time.RFC3339)
	}
	return text
}

// asked is f as package cluster takes it.
func (f CredentialsFunc) asked() func(ctx context.Context) (cluster.Credentials, error) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context) (cluster.Credentials, error) {
		c, err := f(ctx)
		return cluster.Credentials(c), err
	}
}

// fileRefresh is how soon a secret that was changed on disk is used: soon enough for rotations where the old one is
// valid a little longer, and three small files are cheap to read.
const fileRefresh = 10 * time.Second

// credentialsFromEnv reads what FromEnv documents; nil when no variable is set.
func credentialsFromEnv(lookup func(string) (string, bool)) (CredentialsFunc, error) {
	var all [3]secret
	for i, variable := range [...]string{"ROCKETKIT_ACCESS_KEY", "ROCKETKIT_SECRET_KEY", "ROCKETKIT_SECURITY_TOKEN"} {
		s := &all[i]
		s.variable, s.value, s.file = variable, lookupTrimmed(lookup, variable), lookupTrimmed(lookup, variable+"_FILE")
		if s.value != "" && s.file != "" {
			return nil, configError(variable, "set together with %s_FILE: unset one", variable)
		}
	}
	access, key, token := all[0], all[1], all[2]
	switch {
	case !access.set() && !key.set() && !token.set():
		return nil, nil
	case !access.set():
		return nil, configError(access.variable, "not set, but %s is: requests are signed with both; or set its _FILE form", firstSet(key, token))
	case !key.set():
		return nil, configError(key.variable, "not set, but %s is: requests are signed with both; or set its _FILE form", firstSet(access, token))
	}
	read := func(context.Context) (Credentials, error) {
		var c Credentials
		var failures [3]error
		c.AccessKey, failures[0] = access.read()
		c.SecretKey, failures[1] = key.read()
		c.SecurityToken, failures[2] = token.read()
		if access.file != "" || key.file != "" || token.file != "" {
			c.Refresh = fileRefresh
		}
		return c, errors.Join(failures[:]...)
	}
	if _, err := read(context.Background()); err != nil {
		return nil, fmt.Errorf("rocketkit: %w: %w", err, ErrConfig)
	}
	return read, nil
}

func firstSet(secrets ...secret) string {
	for _, s := range secrets {
		if s.file != "" {
			return s.variable + "_FILE"
		}
		if s.set() {
			return s.variable
		}
	}
	return ""
}
