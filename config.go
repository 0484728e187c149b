package rocketkit

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rocketkit/rocketkit/tenant"
)

// Config says which RocketMQ cluster a process works with and as whom. Its zero value lacks only NameServers.
type Config struct {
	// NameServers are the addresses, host:port each, of the cluster's name servers. Required; all are equal, one that
	// answers is enough.
	NameServers []string

	// Tenant prefixes every topic and group on the broker ("red" makes "orders" into "red%orders"). Empty means none.
	// Lower-case letters, digits and dashes, at most 32, beginning with a letter or digit.
	Tenant string

	// Instance tells this process from others on the same machine in the client id, ip@instance, that brokers and
	// their tools show. Default: the process id and a random part. Set it only to something unique: two processes with
	// one client id in one group share their queues wrongly. Letters, digits, '.', '_', '#' and '-'.
	Instance string

	// RequestTimeout bounds one request to a server, where a context does not end earlier. 0 means 3 s; at least 10 ms.
	RequestTimeout time.Duration

	// Dial opens a connection; default: net.Dialer with a time-out of 3 s. Tests replace the network with it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

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
	if len(c.NameServers) == 0 {
		return c, names, configError("NameServers", "none given; set ROCKETKIT_NAMESRV to host:port, several joined by ';'")
	}
	for i, address := range c.NameServers {
		if why := badAddress(address); why != "" {
			return c, names, configError(fmt.Sprintf("NameServers[%d]", i), "%q %s; write host:port", address, why)
		}
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
	if c.Instance == "" {
		c.Instance = uniqueInstance()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, names, nil
}

func badAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	switch {
	case err != nil:
		return "is not an address"
	case host == "" || strings.ContainsAny(host, " /"):
		return "has no host"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "has no port from 1 to 65535"
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
