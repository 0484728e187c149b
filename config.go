package rocketkit

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/tenant"
)

// Config says which RocketMQ cluster a process works with and as whom. Its zero value lacks only NameServers or
// NameServerURL.
type Config struct {
	// NameServers are the addresses, host:port each, of the cluster's name servers; all are equal, one that answers is
	// enough. Required, unless there is a NameServerURL. A host name is resolved anew for each connection, and all the
	// addresses that it has are tried; a connection stays for as long as it works. A name with several addresses counts as
	// one name server: what package admin writes to every name server reaches the one that is connected.
	NameServers []string

	// NameServerURL asks an address server for the name servers instead, as Java's clients do by
	// http://domain:8080/rocketmq/nsaddr (rocketmq.namesrv.domain): the first line of its answer is their addresses, joined
	// by ';'. http or https (with the system's certificates); 3 s and 64 KiB for an answer, three redirects, no proxy.
	// Open doesn't ask it: the first use does, fails when it can't be had, and the next use asks again. From then on it is
	// asked every 2 minutes; an answer that fails, is empty or malformed changes nothing, and is logged once. Not together
	// with NameServers.
	NameServerURL string

	// Tenant prefixes every topic and group on the broker ("red" makes "orders" into "red%orders"). Empty means none.
	// Lower-case letters, digits and dashes, at most 32, beginning with a letter or digit.
	Tenant string

	// Instance tells this process from others on the same machine in the client id, ip@instance, that brokers and
	// their tools show. Default: the process id and a random part. Set it only to something unique: two processes with
	// one client id in one group share their queues wrongly. Letters, digits, '.', '_', '#' and '-'.
	Instance string

	// RequestTimeout bounds one request to a server, where a context does not end earlier. 0 means 3 s; at least 10 ms.
	RequestTimeout time.Duration

	// Trace switches RocketMQ's own message trace on. Default: off.
	Trace Trace

	// Settings says how consumers follow documents that change their settings while they run. Default: those in the name
	// servers, signed or not.
	Settings Settings

	// Dial opens a connection, within 3 s; default: net.Dialer, with each address of a host name tried when the one before
	// has failed or taken 250 ms. It gets names as they are configured, and resolves them. Tests replace the network with it.
	// With TLS the handshake is made over what it returns.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS secures every connection, to name servers and brokers alike; nil means plaintext. What it says of roots, client
	// certificates and versions counts. Without a ServerName each server must prove to be the host that was dialed,
	// which for brokers is the address they register with. It is copied; its callbacks are called on dials.
	TLS *tls.Config

	// Credentials give what requests are signed with, for brokers with ACLs; nil signs nothing. See [StaticCredentials].
	Credentials CredentialsFunc

	// Logger receives what an operator should know. Default: slog.Default().
	Logger *slog.Logger

	// MeterProvider takes the metrics of producers and consumers. Default: OpenTelemetry's global one, also when that is
	// set later; without an SDK nothing is measured. Which metrics there are says docs/observability.md.
	MeterProvider metric.MeterProvider

	// TracerProvider takes their spans. Default: OpenTelemetry's global one, also when that is set later; without an SDK
	// there are none.
	TracerProvider trace.TracerProvider

	// Propagator carries the context of a trace in messages' properties. Default: OpenTelemetry's global one where the
	// process has set it, else W3C Trace Context (traceparent and tracestate) while there is a TracerProvider.
	Propagator propagation.TextMapPropagator
}

// DefaultRequestTimeout bounds a request when Config.RequestTimeout is 0.
const DefaultRequestTimeout = 3 * time.Second

const maxInstance = 100 // what tools' columns hold

const minRequestTimeout = 10 * time.Millisecond

func configError(field, format string, args ...any) error {
	return fmt.Errorf("rocketkit: %s: %s: %w", field, fmt.Sprintf(format, args...), ErrConfig)
}

// complete validates the Config and fills in its defaults.
func (c Config) complete() (Config, tenant.Names, error) {
	names, err := tenant.New(c.Tenant)
	if err != nil {
		return c, names, configError("Tenant", "%v", err)
	}
	if err := c.checkNameServers(); err != nil {
		return c, names, err
	}
	if c.RequestTimeout != 0 && c.RequestTimeout < minRequestTimeout {
		return c, names, configError("RequestTimeout", "%v is below %v; 0 means %v", c.RequestTimeout, minRequestTimeout, DefaultRequestTimeout)
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = DefaultRequestTimeout
	}
	if why := badInstance(c.Instance); why != "" {
		return c, names, configError("Instance", "%q %s", c.Instance, why)
	}
	if _, err := c.Trace.of(names); err != nil {
		return c, names, configError("Trace.Topic", "%v", err)
	}
	if c.Settings, err = c.Settings.complete(); err != nil {
		return c, names, err
	}
	if c.Instance == "" {
		c.Instance = uniqueInstance()
	}
	if c.TLS != nil {
		if c.TLS.MaxVersion != 0 && c.TLS.MaxVersion < tls.VersionTLS12 {
			return c, names, configError("TLS", "MaxVersion is below TLS 1.2, which servers no longer speak")
		}
		c.TLS = c.TLS.Clone()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, names, nil
}

func (c *Config) checkNameServers() error {
	switch {
	case len(c.NameServers) > 0 && c.NameServerURL != "":
		return configError("NameServerURL", "given together with NameServers; choose one")
	case c.NameServerURL != "":
		if why := badURL(c.NameServerURL); why != "" {
			return configError("NameServerURL", "%s", why)
		}
	case len(c.NameServers) == 0:
		return configError("NameServers", "none given; set ROCKETKIT_NAMESRV to host:port, several joined by ';'")
	}
	for i, address := range c.NameServers {
		if why := cluster.BadAddress(address); why != "" {
			return configError(fmt.Sprintf("NameServers[%d]", i), "%q %s; write host:port", address, why)
		}
	}
	return nil
}

// badURL tells what is wrong with an address server's URL. It doesn't show it, as it may hold a password.
func badURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "is no URL of an address server, such as http://host:8080/rocketmq/nsaddr"
	}
	return ""
}

func badInstance(instance string) string {
	if len(instance) > maxInstance {
		return fmt.Sprintf("has more than %d characters", maxInstance)
	}
	for _, r := range instance {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letterOrDigit && !strings.ContainsRune("._#-", r) {
			return fmt.Sprintf("has the character %q; letters, digits, '.', '_', '#' and '-' are allowed", r)
		}
	}
	return ""
}

func uniqueInstance() string {
	var random [4]byte
	rand.Read(random[:]) // never fails (crypto/rand since Go 1.24)
	return strconv.Itoa(os.Getpid()) + "#" + hex.EncodeToString(random[:])
}
