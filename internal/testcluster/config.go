package testcluster

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// DefaultVersion is the RocketMQ that runs when neither Config.Version nor the
// environment names another.
const DefaultVersion = "5.5.0"

// VersionVariable is the environment variable that selects RocketMQ's version
// where Config.Version is empty. 5.5.0, 5.3.3 and 4.9.7 are known to work.
const VersionVariable = "ROCKETKIT_ROCKETMQ_VERSION"

// ClusterName is what every broker calls its cluster (brokerClusterName).
const ClusterName = "DefaultCluster"

// Config says what to run. The zero value is one name server and one broker of
// DefaultVersion.
type Config struct {
	// Version of RocketMQ; "" means VersionVariable, then DefaultVersion.
	Version string

	NameServers int // 0 means 1; at most 3
	Brokers     int // masters; 0 means 1
	Replicas    int // slaves per master (brokerId 1, 2, …), fed asynchronously; 0 means none

	// BrokerProperties are added to every broker's properties file and win over
	// this package's, which keep the store small and differ from RocketMQ's
	// defaults where a test would trip: autoCreateTopicEnable is false. What a
	// broker's place in the cluster depends on can't be set: listenPort,
	// haListenPort, namesrvAddr, brokerName, brokerId and storePathRootDir.
	// RocketMQ ignores names that it doesn't know.
	BrokerProperties map[string]string

	// JVM flags are added to every server's and win over this package's, which
	// give a broker 512 MiB of heap and 256 MiB of direct memory, and turn TLS off
	// (-Dtls.server.mode=disabled; RocketMQ's default is permissive).
	JVM []string

	// TLS, unless nil, makes every server demand TLS.
	TLS *TLS

	// Log receives progress, line by line: the jars being fetched, where logs
	// were kept. Nil discards it in Start, and means standard error in Run and
	// Suite.
	Log io.Writer
}

var versionPattern = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.]+)?$`)

// reserved are the broker properties that this package computes.
var reserved = []string{
	"brokerId", "brokerName", "haListenPort", "listenPort", "namesrvAddr", "storePathRootDir",
}

// filled returns a checked copy of c with its defaults filled in.
func (c Config) filled() (Config, error) {
	c.Version = cmp.Or(c.Version, os.Getenv(VersionVariable), DefaultVersion)
	c.NameServers = cmp.Or(c.NameServers, 1)
	c.Brokers = cmp.Or(c.Brokers, 1)
	if c.Log == nil {
		c.Log = io.Discard
	}
	c.BrokerProperties = maps.Clone(c.BrokerProperties)
	c.JVM = slices.Clone(c.JVM)
	switch servers := c.Brokers * (1 + c.Replicas); {
	case !versionPattern.MatchString(c.Version):
		return c, fmt.Errorf("testcluster: version %q isn't a version of RocketMQ: give one such as %s", c.Version, DefaultVersion)
	case c.NameServers < 1 || c.NameServers > maxNameServers:
		return c, fmt.Errorf("testcluster: NameServers is %d: give 1 to %d", c.NameServers, maxNameServers)
	case c.Brokers < 1 || c.Replicas < 0 || servers > maxBrokers:
		return c, fmt.Errorf("testcluster: Brokers is %d with %d Replicas each: give at least one broker and at most %d in all", c.Brokers, c.Replicas, maxBrokers)
	}
	for name := range c.BrokerProperties {
		if name == "" || strings.ContainsAny(name, "=: \t\r\n\\#!") {
			return c, fmt.Errorf("testcluster: BrokerProperties: %q can't name a property", name)
		}
		if slices.Contains(reserved, name) {
			return c, fmt.Errorf("testcluster: BrokerProperties: %s follows from the broker's place in the cluster: leave it out", name)
		}
	}
	return c, nil
}
