package rocketkit

import (
	"strings"
	"time"

	"github.com/rocketkit/rocketkit/tenant"
)

// FromEnv reads a Config from the environment through lookup, which is os.LookupEnv but in tests:
//
//	ROCKETKIT_NAMESRV          host:port of the name servers, several joined by ';' or ','
//	NAMESRV_ADDR               the same, as Apache's clients call it; read when ROCKETKIT_NAMESRV is not set
//	ROCKETKIT_TENANT           Config.Tenant; unset or empty: no tenant
//	ROCKETKIT_INSTANCE         Config.Instance; unset or empty: made unique
//	ROCKETKIT_REQUEST_TIMEOUT  Config.RequestTimeout as Go writes durations ("3s"); unset or empty: 3 s
//
// What a variable may hold is checked here, so that an error names the variable; it wraps [ErrConfig]. Fields that no
// variable sets (Dial, Logger and those of telemetry) are left for the caller.
func FromEnv(lookup func(string) (string, bool)) (Config, error) {
	var c Config
	variable := "ROCKETKIT_NAMESRV"
	servers, _ := lookup(variable)
	if strings.TrimSpace(servers) == "" {
		if apache, _ := lookup("NAMESRV_ADDR"); strings.TrimSpace(apache) != "" {
			variable, servers = "NAMESRV_ADDR", apache
		}
	}
	c.NameServers = splitServers(servers)
	if len(c.NameServers) == 0 {
		return Config{}, configError(variable, "not set; give the name servers as host:port, several joined by ';'")
	}
	for _, address := range c.NameServers {
		if why := badAddress(address); why != "" {
			return Config{}, configError(variable, "%q %s; write host:port, several joined by ';'", address, why)
		}
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
