package tenant

import "strings"

// What RocketMQ puts between and before names (NamespaceUtil, MixAll).
const (
	separator        = "%"
	retryPrefix      = "%RETRY%"
	deadLetterPrefix = "%DLQ%"
)

// Names maps the logical names of one tenant to physical ones and back. The zero Names has no tenant: names pass
// unchanged, though they are checked all the same. Names is a comparable value and safe for concurrent use.
type Names struct {
	tenant string
}

// New returns the names of a tenant; "" means no tenant. A tenant is 1 to 32 of a-z, 0-9 and '-' and doesn't start with '-'.
// What looks like a prefix that RocketMQ gives a meaning of its own (rmq-sys-, cid-rmq-sys-, mq-inst-) is refused.
func New(tenant string) (Names, error) {
	if tenant == "" {
		return Names{}, nil
	}
	if err := checkTenant(tenant); err != nil {
		return Names{}, err
	}
	return Names{tenant: tenant}, nil
}

// Tenant returns the tenant's name, or "" when there is none.
func (n Names) Tenant() string { return n.tenant }

// Topic returns the physical name of a topic: "orders" is "red%orders" on the broker.
// The topics of [IsSystemTopic] keep their names, as they belong to the cluster and not to a tenant.
//
// It fails for a name that isn't made of a-z, A-Z, 0-9, '_' and '-', that is over 127 bytes as a physical name
// (TopicValidator's limit), or that starts with CID_RMQ_SYS_, which NamespaceUtil would leave without a tenant.
func (n Names) Topic(logical string) (string, error) {
	if err := n.check(topic, logical); err != nil {
		return "", err
	}
	if IsSystemTopic(logical) {
		return logical, nil
	}
	return n.prefixed(logical), nil
}

// Group returns the physical name of a consumer or producer group: "billing" is "red%billing" on the broker.
// Groups that start with CID_RMQ_SYS_ are RocketMQ's own and keep their names.
//
// It fails for a name that isn't made of a-z, A-Z, 0-9, '_' and '-', that is over 120 bytes as a physical name (the
// length that still fits behind %RETRY%), or that is a system topic's, which NamespaceUtil would leave without a tenant.
func (n Names) Group(logical string) (string, error) {
	if err := n.check(group, logical); err != nil {
		return "", err
	}
	if isSystemGroup(logical) {
		return logical, nil
	}
	return n.prefixed(logical), nil
}

// Retry returns the physical name of the topic that holds a group's messages between two attempts:
// "billing" is "%RETRY%red%billing". It fails as [Names.Group] does.
func (n Names) Retry(group string) (string, error) { return n.derived(retryPrefix, group) }

// DeadLetter returns the physical name of the topic that holds what a group has given up on:
// "billing" is "%DLQ%red%billing". It fails as [Names.Group] does.
func (n Names) DeadLetter(group string) (string, error) { return n.derived(deadLetterPrefix, group) }

// Resource returns the physical name of whatever tools call a topic: a topic, or the retry or dead-letter topic of a
// group ("%RETRY%billing", "%DLQ%billing"). It fails as [Names.Topic] or [Names.Group] does.
func (n Names) Resource(name string) (string, error) {
	if prefix, group := cutDerived(name); prefix != "" {
		return n.derived(prefix, group)
	}
	return n.Topic(name)
}

// LogicalTopic returns what [Names.Resource] makes the physical name from: "orders" from "red%orders", and
// "%RETRY%billing" from "%RETRY%red%billing". It reports false for every other name: another tenant's, one of
// no tenant while n has one, or one that Resource refuses.
func (n Names) LogicalTopic(physical string) (string, bool) {
	if prefix, group := cutDerived(physical); prefix != "" {
		logical, ok := n.LogicalGroup(group)
		if !ok {
			return "", false
		}
		if n.tenant == "" {
			return physical, true
		}
		return prefix + logical, true
	}
	return n.logical(topic, physical)
}

// LogicalGroup returns what [Names.Group] makes the physical name from: "billing" from "red%billing".
// It reports false for every other name.
func (n Names) LogicalGroup(physical string) (string, bool) {
	return n.logical(group, physical)
}

func (n Names) logical(k kind, physical string) (string, bool) {
	name := physical
	if n.tenant != "" && !k.system(physical) {
		rest, ok := strings.CutPrefix(physical, n.tenant)
		if !ok {
			return "", false
		}
		// "red%TBW102" isn't what "TBW102" becomes, so it leads back to nothing.
		if name, ok = strings.CutPrefix(rest, separator); !ok || k.system(name) {
			return "", false
		}
	}
	if n.check(k, name) != nil {
		return "", false
	}
	return name, true
}

func (n Names) derived(prefix, logical string) (string, error) {
	physical, err := n.Group(logical)
	if err != nil {
		return "", err
	}
	return prefix + physical, nil
}

func (n Names) prefixed(logical string) string {
	if n.tenant == "" {
		return logical
	}
	return n.tenant + separator + logical
}

// cutDerived splits "%RETRY%billing" into prefix and group; the prefix is "" when the name has none.
func cutDerived(name string) (prefix, rest string) {
	for _, prefix := range [...]string{retryPrefix, deadLetterPrefix} {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			return prefix, rest
		}
	}
	return "", name
}
