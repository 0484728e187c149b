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
//	ROCKETKIT_TRACE            on or off: Config.Trace.On; unset or empty: off
//	ROCKETKIT_TRACE_TOPIC      Config.Trace.Topic; unset or empty: its default
//	ROCKETKIT_SETTINGS         on or off: Config.Settings.Off; unset or empty: on
//	ROCKETKIT_SETTINGS_KEYS    Config.Settings.Keys: Ed25519 public keys in base64, several joined by ','; unset or empty: none
//	ROCKETKIT_SETTINGS_CACHE   Config.Settings.CacheDir, or off; unset or empty: its default
//	ROCKETKIT_TLS              on or off: Config.TLS; unset or empty: off
//	ROCKETKIT_TLS_CA           PEM file of the authorities to trust; unset or empty: the system's
//	ROCKETKIT_TLS_CERT         PEM file of the client certificate, with its chain; unset or empty: none
//	ROCKETKIT_TLS_KEY          PEM file of its key
//	ROCKETKIT_TLS_SERVER_NAME  the name that every server's certificate must have; unset or empty: the host that is dialed
//	ROCKETKIT_ACCESS_KEY       Config.Credentials, with the secret key; unset or empty: requests are not signed
//	ROCKETKIT_SECRET_KEY       goes with the access key
//	ROCKETKIT_SECURITY_TOKEN   goes with credentials that were given for a time
//	ROCKETKIT_ACCESS_KEY_FILE, ROCKETKIT_SECRET_KEY_FILE, ROCKETKIT_SECURITY_TOKEN_FILE
//	                           file that holds the value, instead of the variable without _FILE
//
// What is on or off may also be written as true or false, or 1 or 0.
//
// Files are read again, those of TLS at each connection and the others every 10 s, so that rotated secrets are used
// without a restart.
//
// What a variable may hold is checked here, so that an error names the variable; it wraps [ErrConfig]. Fields that no
// variable sets (Dial, Logger and those of telemetry) are left for the caller.
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
	var err error
	if c.TLS, err = tlsFromEnv(lookup); err != nil {
		return Config{}, err
	}
	if c.Credentials, err = credentialsFromEnv(lookup); err != nil {
		return Config{}, err
	}
	if err := c.traceFromEnv(lookup); err != nil {
		return Config{}, err
	}
	if err := c.settingsFromEnv(lookup); err != nil {
		return Config{}, err
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

// traceFromEnv reads Trace; Tenant has been read.
func (c *Config) traceFromEnv(lookup func(string) (string, bool)) (err error) {
	if c.Trace.On, _, err = switchFromEnv(lookup, "ROCKETKIT_TRACE"); err != nil {
		return err
	}
	c.Trace.Topic = lookupTrimmed(lookup, "ROCKETKIT_TRACE_TOPIC")
	names, _ := tenant.New(c.Tenant)
	if _, err := c.Trace.of(names); err != nil {
		return configError("ROCKETKIT_TRACE_TOPIC", "%v", err)
	}
	return nil
}

// switchFromEnv reads a variable that is on or off; set is false where it is unset or empty.
func switchFromEnv(lookup func(string) (string, bool), name string) (on, set bool, err error) {
	switch text := lookupTrimmed(lookup, name); strings.ToLower(text) {
	case "":
		return false, false, nil
	case "on", "true", "1":
		return true, true, nil
	case "off", "false", "0":
		return false, true, nil
	default:
		return false, false, configError(name, "%q is neither on nor off", text)
	}
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
