package rocketkit_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rocketkit/rocketkit"
)

// environment is a lookup over a map.
func environment(variables map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		variables map[string]string
		want      rocketkit.Config
	}{
		"one name server": {
			map[string]string{"ROCKETKIT_NAMESRV": "10.0.0.1:9876"},
			rocketkit.Config{NameServers: []string{"10.0.0.1:9876"}},
		},
		"several, in both ways, with space": {
			map[string]string{"ROCKETKIT_NAMESRV": " a:1; b:2 ,[::1]:3;;"},
			rocketkit.Config{NameServers: []string{"a:1", "b:2", "[::1]:3"}},
		},
		"as Apache calls it": {
			map[string]string{"NAMESRV_ADDR": "a:1;b:2"},
			rocketkit.Config{NameServers: []string{"a:1", "b:2"}},
		},
		"ours goes first": {
			map[string]string{"ROCKETKIT_NAMESRV": "a:1", "NAMESRV_ADDR": "b:2"},
			rocketkit.Config{NameServers: []string{"a:1"}},
		},
		"an address server": {
			map[string]string{"ROCKETKIT_NAMESRV_URL": " http://a:8080/rocketmq/nsaddr ", "NAMESRV_ADDR": "b:2"},
			rocketkit.Config{NameServerURL: "http://a:8080/rocketmq/nsaddr"},
		},
		"ours empty": {
			map[string]string{"ROCKETKIT_NAMESRV": " ", "NAMESRV_ADDR": "b:2"},
			rocketkit.Config{NameServers: []string{"b:2"}},
		},
		"everything": {
			map[string]string{
				"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_TENANT": " red ", "ROCKETKIT_INSTANCE": "pod-1.a_b#c", "ROCKETKIT_REQUEST_TIMEOUT": "1500ms",
			},
			rocketkit.Config{NameServers: []string{"a:1"}, Tenant: "red", Instance: "pod-1.a_b#c", RequestTimeout: 1500 * time.Millisecond},
		},
		"the message trace": {
			map[string]string{"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_TRACE": "true", "ROCKETKIT_TRACE_TOPIC": "traces"},
			rocketkit.Config{NameServers: []string{"a:1"}, Trace: rocketkit.Trace{On: true, Topic: "traces"}},
		},
		"set and empty": {
			map[string]string{"ROCKETKIT_NAMESRV": "a:1", "ROCKETKIT_TENANT": "", "ROCKETKIT_INSTANCE": "", "ROCKETKIT_REQUEST_TIMEOUT": ""},
			rocketkit.Config{NameServers: []string{"a:1"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := rocketkit.FromEnv(environment(test.variables))
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

// TestFromEnvErrors: every bad value's error names its variable, what is wrong, and wraps ErrConfig.
func TestFromEnvErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ variable, value, says string }{
		{"ROCKETKIT_NAMESRV", "", "not set"},
		{"ROCKETKIT_NAMESRV", " ", "not set"},
		{"ROCKETKIT_NAMESRV", ";", "host:port"},
		{"ROCKETKIT_NAMESRV", "a", "is not an address"},
		{"ROCKETKIT_NAMESRV", "a:1;b", "\"b\""},
		{"ROCKETKIT_NAMESRV", ":9876", "has no host"},
		{"ROCKETKIT_NAMESRV", "a:", "port"},
		{"ROCKETKIT_NAMESRV", "a:0", "port"},
		{"ROCKETKIT_NAMESRV", "a:65536", "port"},
		{"ROCKETKIT_NAMESRV", "a:x", "port"},
		{"ROCKETKIT_NAMESRV", "http://a:1", "\"http://a:1\""},
		{"ROCKETKIT_NAMESRV", "a b:1", "has no host"},
		{"ROCKETKIT_NAMESRV", "::1:9876", "is not an address"},
		{"NAMESRV_ADDR", "a", "is not an address"},
		{"ROCKETKIT_NAMESRV_URL", "http://b", "together with ROCKETKIT_NAMESRV"},
		{"ROCKETKIT_TENANT", "Red", "'R'"},
		{"ROCKETKIT_TENANT", "re%d", "'%'"},
		{"ROCKETKIT_TENANT", "-red", "'-'"},
		{"ROCKETKIT_TENANT", strings.Repeat("a", 33), "33"},
		{"ROCKETKIT_TENANT", "rmq-sys-x", "rmq-sys-"},
		{"ROCKETKIT_INSTANCE", "a@b", "'@'"},
		{"ROCKETKIT_INSTANCE", "a b", "' '"},
		{"ROCKETKIT_INSTANCE", "a%b", "'%'"},
		{"ROCKETKIT_INSTANCE", "é", "'é'"},
		{"ROCKETKIT_REQUEST_TIMEOUT", "3", "3s"},
		{"ROCKETKIT_REQUEST_TIMEOUT", "0s", "10ms or more"},
		{"ROCKETKIT_REQUEST_TIMEOUT", "-1s", "10ms or more"},
		{"ROCKETKIT_REQUEST_TIMEOUT", "soon", "\"soon\""},
		{"ROCKETKIT_TRACE", "yes", "on nor off"},
		{"ROCKETKIT_TRACE_TOPIC", "red%traces", "'%'"},
	} {
		t.Run(test.variable+"="+test.value, func(t *testing.T) {
			t.Parallel()
			variables := map[string]string{"ROCKETKIT_NAMESRV": "a:1"}
			if test.variable == "NAMESRV_ADDR" {
				delete(variables, "ROCKETKIT_NAMESRV")
			}
			variables[test.variable] = test.value
			got, err := rocketkit.FromEnv(environment(variables))
			if !errors.Is(err, rocketkit.ErrConfig) {
				t.Fatalf("%+v, %v", got, err)
			}
			if !strings.Contains(err.Error(), test.variable+":") || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v: wants %s and %s", err, test.variable, test.says)
			}
			if !reflect.DeepEqual(got, rocketkit.Config{}) {
				t.Errorf("a Config beside the error: %+v", got)
			}
		})
	}
}

// TestFromEnvReadsWhatItDocuments: each variable that is looked up is in the function's comment; and it reads no other.
func TestFromEnvReadsWhatItDocuments(t *testing.T) {
	t.Parallel()
	asked := map[string]bool{}
	_, err := rocketkit.FromEnv(func(name string) (string, bool) {
		asked[name] = true
		if name == "NAMESRV_ADDR" {
			return "a:1", true
		}
		return "", false
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"ROCKETKIT_NAMESRV": true, "ROCKETKIT_NAMESRV_URL": true, "NAMESRV_ADDR": true, "ROCKETKIT_TENANT": true, "ROCKETKIT_INSTANCE": true, "ROCKETKIT_REQUEST_TIMEOUT": true,
		"ROCKETKIT_TLS": true, "ROCKETKIT_TLS_CA": true, "ROCKETKIT_TLS_CERT": true, "ROCKETKIT_TLS_KEY": true, "ROCKETKIT_TLS_SERVER_NAME": true,
		"ROCKETKIT_ACCESS_KEY": true, "ROCKETKIT_SECRET_KEY": true, "ROCKETKIT_SECURITY_TOKEN": true,
		"ROCKETKIT_ACCESS_KEY_FILE": true, "ROCKETKIT_SECRET_KEY_FILE": true, "ROCKETKIT_SECURITY_TOKEN_FILE": true,
		"ROCKETKIT_TRACE": true, "ROCKETKIT_TRACE_TOPIC": true,
		"ROCKETKIT_SETTINGS": true, "ROCKETKIT_SETTINGS_KEYS": true, "ROCKETKIT_SETTINGS_CACHE": true,
	}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("looked up %v", asked)
	}
}
