package secure

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// TestErrorsSayWhatIsWrong: each thing that can be wrong with certificates and keys, on the real servers.
func TestErrorsSayWhatIsWrong(t *testing.T) {
	cluster := rocketmq.Cluster(t)
	stranger, err := testcluster.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Write(t.TempDir(), "client", testcluster.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	good := environment(cluster, "", operator, operatorSecret)
	for name, test := range map[string]struct {
		change map[string]string
		says   []string
	}{
		"foreign authority": {map[string]string{"ROCKETKIT_TLS_CA": foreign.CA}, []string{"authority that isn't trusted here"}},
		"other name":        {map[string]string{"ROCKETKIT_TLS_SERVER_NAME": "mq.example"}, []string{"is not for mq.example but for 127.0.0.1", "ServerName"}},
		"no client certificate": {map[string]string{"ROCKETKIT_TLS_CERT": "", "ROCKETKIT_TLS_KEY": ""},
			[]string{"demands a client certificate"}},
		"client certificate of others": {map[string]string{"ROCKETKIT_TLS_CERT": foreign.Certificate, "ROCKETKIT_TLS_KEY": foreign.Key},
			[]string{"TLS:", "client certificate"}},
		"plaintext": {map[string]string{"ROCKETKIT_TLS": "off"}, []string{"if it demands TLS", "turn TLS on here"}},
		"wrong secret": {map[string]string{"ROCKETKIT_SECRET_KEY": "wrong"},
			[]string{"NO_PERMISSION (16)", "the secret key is not the one that the server has"}},
		"unknown user": {map[string]string{"ROCKETKIT_ACCESS_KEY": "nobody"}, []string{"NO_PERMISSION (16)", "no such user on this broker"}},
		"unsigned": {map[string]string{"ROCKETKIT_ACCESS_KEY": "", "ROCKETKIT_SECRET_KEY": ""},
			[]string{"NO_PERMISSION (16)", "was not signed", "ROCKETKIT_ACCESS_KEY"}},
	} {
		t.Run(name, func(t *testing.T) {
			client := open(t, with(good, test.change))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := admin.New(client).Access(ctx, operator)
			for _, says := range append(test.says, "127.0.0.1:") {
				if err == nil || !strings.Contains(err.Error(), says) {
					t.Errorf("%v\ndoesn't say %q", err, says)
				}
			}
		})
	}
}

// TestTokenIsSigned: a security token takes part in the signature, in the order of its key: the broker, which makes no
// use of it, computes the same. One that was left out of the order, or out of the signature, would be refused.
func TestTokenIsSigned(t *testing.T) {
	cluster := rocketmq.Cluster(t)
	client := open(t, with(environment(cluster, "", operator, operatorSecret), map[string]string{"ROCKETKIT_SECURITY_TOKEN": "a token"}))
	if err := admin.New(client).CreateTopic(t.Context(), admin.TopicConfig{Name: "tokens"}); err != nil {
		t.Fatal(err)
	}
	if _, err := try(t, client, "tokens", "with a token"); err != nil {
		t.Error(err)
	}
}

// TestCredentialsAreRenewed: with credentials that last a second, and are others each time, nothing is refused.
func TestCredentialsAreRenewed(t *testing.T) {
	cluster := rocketmq.Cluster(t)
	env := environment(cluster, "", operator, operatorSecret)
	asOperator := open(t, env)
	ops := admin.New(asOperator)
	if err := ops.CreateTopic(t.Context(), admin.TopicConfig{Name: "renewals"}); err != nil {
		t.Fatal(err)
	}
	users := []string{"first", "second", "third"}
	for _, user := range users {
		err := errors.Join(ops.CreateUser(t.Context(), user, "secret of "+user),
			ops.Grant(t.Context(), user, []admin.AccessRule{{Resource: "Topic:renewals", Actions: []string{"Pub"}}}))
		if err != nil {
			t.Fatal(err)
		}
	}
	asked := make(chan string, 100)
	client, err := asOperator.For("", func(context.Context) (rocketkit.Credentials, error) {
		user := users[len(asked)%len(users)]
		asked <- user
		return rocketkit.Credentials{AccessKey: user, SecretKey: "secret of " + user, Expires: time.Now().Add(time.Second)}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for len(asked) < 3 {
		if _, err := try(t, client, "renewals", "x"); err != nil {
			t.Fatal(err)
		}
	}
	changeUsers(t, ops, users, open(t, with(env, map[string]string{"ROCKETKIT_ACCESS_KEY": "first", "ROCKETKIT_SECRET_KEY": "new"})))
}

// changeUsers: a new secret key, a rule less, and no user at all count at once.
func changeUsers(t *testing.T, ops *admin.Admin, users []string, asFirst *rocketkit.Client) {
	t.Helper()
	steps := []struct {
		do   func() error
		says string // of the next message; empty: it is sent
	}{
		{func() error { return nil }, "the secret key is not the one"},
		{func() error { return ops.SetPassword(t.Context(), "first", "new") }, ""},
		{func() error { return ops.Revoke(t.Context(), "first", []string{"Topic:renewals", "Topic:none"}) }, "grant Pub on Topic:renewals"},
		{func() error { return ops.DeleteUser(t.Context(), "first") }, "no such user"},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		_, err := try(t, asFirst, "renewals", "x")
		if (step.says == "") != (err == nil) || err != nil && !refused(err, step.says) {
			t.Errorf("%v\ndoesn't say %q", err, step.says)
		}
	}
	for _, user := range users {
		if err := ops.DeleteUser(t.Context(), user); err != nil {
			t.Error(err)
		}
	}
}
