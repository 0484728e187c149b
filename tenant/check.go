package tenant

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxTenant = 32
	maxTopic  = 127 // TopicValidator.TOPIC_MAX_LENGTH
	maxGroup  = 120 // TopicValidator.GROUP_MAX_LENGTH
)

// kind is what a name is the name of.
type kind int

const (
	topic kind = iota
	group
)

func (k kind) String() string {
	if k == group {
		return "group"
	}
	return "topic"
}

// limit is the longest physical name in bytes.
func (k kind) limit() int {
	if k == group {
		return maxGroup
	}
	return maxTopic
}

// system tells whether a name of this kind is RocketMQ's own and goes without a tenant.
func (k kind) system(name string) bool {
	if k == group {
		return isSystemGroup(name)
	}
	return IsSystemTopic(name)
}

// check tells what is wrong with a logical name. The texts differ because what to do differs.
func (n Names) check(k kind, name string) error {
	if name == "" {
		return fmt.Errorf("tenant: the %s has no name: give one of a-z, A-Z, 0-9, '_' and '-'", k)
	}
	for i := range len(name) {
		if c := name[i]; c == '%' {
			return fmt.Errorf("tenant: %s %s contains '%%', which on the broker ends a tenant's name: "+
				"give the logical name alone and let the tenant come from the settings", k, quote(name))
		} else if !nameByte(c) {
			r, _ := utf8.DecodeRuneInString(name[i:])
			return fmt.Errorf("tenant: %s %s contains %q at byte %d: a name takes a-z, A-Z, 0-9, '_' and '-' only, rename it",
				k, quote(name), r, i)
		}
	}
	return n.checkWhole(k, name)
}

// checkWhole tells what is wrong with a name whose characters are all right.
func (n Names) checkWhole(k kind, name string) error {
	if k == topic && isSystemGroup(name) {
		return fmt.Errorf("tenant: topic %s starts with %s, which RocketMQ keeps for groups of its own: rename it",
			quote(name), systemGroupPrefix)
	}
	if k == group && IsSystemTopic(name) {
		return fmt.Errorf("tenant: group %s has the name of a system topic, which RocketMQ never gives to a tenant: rename it", quote(name))
	}
	physical := name
	if !k.system(name) {
		physical = n.prefixed(name)
	}
	if over := len(physical) - k.limit(); over > 0 {
		return fmt.Errorf("tenant: %s %s is %d bytes long on the broker (%s), and RocketMQ takes %d: shorten it by %d",
			k, quote(name), len(physical), quote(physical), k.limit(), over)
	}
	return nil
}

func checkTenant(name string) error {
	const rule = "a tenant is 1 to 32 of a-z, 0-9 and '-', and starts with a letter or a digit"
	folded := strings.ReplaceAll(strings.ToLower(name), "_", "-")
	for _, prefix := range [...]string{"rmq-sys-", "cid-rmq-sys-", "mq-inst-"} {
		if strings.HasPrefix(folded, prefix) {
			return fmt.Errorf("tenant: %s looks like a name that RocketMQ keeps for itself (%s…): choose another", quote(name), prefix)
		}
	}
	if len(name) > maxTenant {
		return fmt.Errorf("tenant: %s is %d bytes long: %s", quote(name), len(name), rule)
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' && i > 0 {
			continue
		}
		r, _ := utf8.DecodeRuneInString(name[i:])
		return fmt.Errorf("tenant: %s has %q at byte %d: %s", quote(name), r, i, rule)
	}
	return nil
}

// nameByte is RocketMQ's set of characters without '%', which is ours, and '|', which only LMQ paths need.
func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// quote shows a name that may be anything, so also megabytes, in an error.
func quote(name string) string {
	const most = 160
	if len(name) <= most {
		return fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("%q… (%d bytes)", name[:most], len(name))
}
