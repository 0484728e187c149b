package rocketkit

import (
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/internal/cluster"
	"github.com/rocketkit/rocketkit/tenant"
)

// FromEnv reads a Config from the environment through lookup, which is os.LookupEnv but in tests:
//
//	ROCKETKIT_NAMESRV          host:port of the name servers, several joined by ';' or ','
//	ROCKETKIT_NAMESRV_URL      Config.NameServerURL, instead of ROCKETKIT_NAMESRV
//	NAMESRV_ADDR               name servers as Apache's clients call them; read when neither of the above is set
//	ROCKETKIT_TENANT           Config.Tenant; unset or empty: no tenant
//	ROCKETKIT_INSTANCE         Config.Instance; unset or empty: made unique
//	ROCKETKIT_REQUEST_TIMEOUT  Config.RequestTimeout as Go writes durations ("3s"); unset or empty: 3 s
//
// What a variable may hold is checked here, so that an error names the variable; it wraps [ErrConfig]. Fields that no
// variable sets (Dial, Logger) are left for the caller.
func FromEnv(lookup func(string) (string, bool)) (Config, error) {
	var c Config
	if err := c.nameServersFromEnv(lookup); err != nil {
		return Config{}, err
	}
	c.Tenant = lookupTrimmed(lookup, "ROCKETKIT_TENANT")
	if _, err := tenant.New(c.Tenant); err != nil {
		return Config{}, configError("ROCKETKIT_TENANT", "%v", err)
	}
	c.Instance = lookupTrimmed(lookup, "ROCKETKIT_INSTANCE")
	if why := badInstance(c.Instance); why != "" {
		return Config{}, configError("ROCKETKIT_INSTANCE", "%q %s", c.Instance, why)
	}
	if text := lookupTrimmed(lookup, "ROCKETKIT_REQUEST_TIMEOUT"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d < minRequestTimeout {
			return Config{}, configError("ROCKETKIT_REQUEST_TIMEOUT", "%q is not a duration of 10ms or more, such as 3s", text)
		}
		c.RequestTimeout = d
	}
	return c, nil
}

func (c *Config) nameServersFromEnv(lookup func(string) (string, bool)) error {
	variable := "ROCKETKIT_NAMESRV"
	servers := lookupTrimmed(lookup, variable)
	c.NameServerURL = lookupTrimmed(lookup, "ROCKETKIT_NAMESRV_URL")
	switch {
	case c.NameServerURL != "" && servers != "":
		return configError("ROCKETKIT_NAMESRV_URL", "set together with ROCKETKIT_NAMESRV; choose one")
	case c.NameServerURL != "":
		if why := badURL(c.NameServerURL); why != "" {
			return configError("ROCKETKIT_NAMESRV_URL", "%s", why)
		}
		return nil
	case servers == "":
		if apache := lookupTrimmed(lookup, "NAMESRV_ADDR"); apache != "" {
			variable, servers = "NAMESRV_ADDR", apache
		}
	}
	c.NameServers = splitServers(servers)
	if len(c.NameServers) == 0 {
		return configError(variable, "not set; give the name servers as host:port, several joined by ';'")
	}
	for _, address := range c.NameServers {
		if why := cluster.BadAddress(address); why != "" {
			return configError(variable, "%q %s; write host:port, several joined by ';'", address, why)
		}
	}
	return nil
}

func lookupTrimmed(lookup func(string) (string, bool), name string) string {
	value, _ := lookup(name)
	return strings.TrimSpace(value)
}

func splitServers(list string) []string {
	var servers []string
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ';' || r == ',' }) {
		if s = strings.TrimSpace(s); s != "" {
			servers = append(servers, s)
		}
	}
	return servers
}
