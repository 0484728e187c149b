package rocketkit

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Settings says whether and how consumers follow the settings documents of their groups, which operators write to the
// name servers while programs run; see package dynconf.
type Settings struct {
	// Off has consumers read none, but for those that have a source of their own. Default: they follow those in the name
	// servers.
	Off bool

	// Keys are those of whom documents are taken: one that none of them has signed is refused. None means that documents
	// needn't be signed, and then they move settings only within bounds that the program sets: whoever reaches a name
	// server can write one.
	Keys []ed25519.PublicKey

	// CacheDir is the directory where the last good documents are kept, for a start while no name server can be reached. It is made
	// when first needed, and may be shared by processes. Default: rocketkit/settings in os.UserCacheDir, and none where there is no such
	// directory. "off" means none.
	CacheDir string
}

const noCache = "off"

// Settings returns the Config's Settings with their defaults filled in: CacheDir is empty where there is none.
func (c *Client) Settings() Settings { return c.owner.settings }

// complete validates the Settings and fills in their defaults.
func (s Settings) complete() (Settings, error) {
	for i, key := range s.Keys {
		if len(key) != ed25519.PublicKeySize {
			return s, configError(fmt.Sprintf("Settings.Keys[%d]", i), "%d bytes are no Ed25519 public key, which has %d", len(key), ed25519.PublicKeySize)
		}
	}
	s.Keys = slices.Clone(s.Keys)
	switch {
	case strings.EqualFold(s.CacheDir, noCache): // as switches in the environment are read
		s.CacheDir = ""
	case s.CacheDir == "":
		if dir, err := os.UserCacheDir(); err == nil {
			s.CacheDir = filepath.Join(dir, "rocketkit", "settings")
		}
	}
	return s, nil
}

// settingsFromEnv reads Settings.
func (c *Config) settingsFromEnv(lookup func(string) (string, bool)) error {
	on, set, err := switchFromEnv(lookup, "ROCKETKIT_SETTINGS")
	if err != nil {
		return err
	}
	c.Settings.Off = set && !on
	c.Settings.CacheDir = lookupTrimmed(lookup, "ROCKETKIT_SETTINGS_CACHE")
	keys := lookupTrimmed(lookup, "ROCKETKIT_SETTINGS_KEYS")
	for text := range strings.SplitSeq(keys, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return configError("ROCKETKIT_SETTINGS_KEYS", "%.60q is no Ed25519 public key in base64; several are joined by ','", text)
		}
		c.Settings.Keys = append(c.Settings.Keys, key)
	}
	if keys != "" && len(c.Settings.Keys) == 0 { // whoever has set it wants signatures
		return configError("ROCKETKIT_SETTINGS_KEYS", "%.60q holds no key", keys)
	}
	return nil
}
