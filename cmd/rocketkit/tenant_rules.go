package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/tenant"
)

// access is who is to be confined to which tenant.
type access struct {
	Tenant, User string
	From         []string
	TraceTopic   string
	ManageTopics bool
}

// rules compiles the access. Retry topics need no rule: brokers judge them by the group.
func (a access) rules() ([]admin.AccessRule, error) {
	if a.Tenant == "" {
		return nil, usage("--tenant is missing: what has no tenant has no prefix to be told by")
	}
	names, err := tenant.New(a.Tenant)
	if err != nil {
		return nil, usage("--tenant: %w", err)
	}
	if strings.ContainsAny(a.User, " :,*'") {
		return nil, usage("--user %q can't name a user", a.User)
	}
	for _, from := range a.From {
		if _, err := netip.ParsePrefix(from); err == nil {
			continue
		}
		if _, err := netip.ParseAddr(from); err != nil {
			return nil, usage("--allow-from %q is neither an address nor a CIDR block", from)
		}
	}
	prefix := names.Tenant() + "%*"
	// Pub and Sub alone leave a consumer without the queues' bounds (Get) and nobody able to reset (Update).
	topic, group := []string{"Pub", "Sub", "Get", "Update"}, []string{"Sub", "Get", "Update"}
	if a.ManageTopics {
		topic, group = append(topic, "Create", "Delete"), append(group, "Create", "Delete")
	}
	rules := []admin.AccessRule{
		{Resource: "Topic:" + prefix, Actions: topic},
		{Resource: "Group:" + prefix, Actions: group},
		{Resource: "Topic:%DLQ%" + prefix, Actions: []string{"Sub", "Get", "Update"}},
	}
	if a.TraceTopic != "" {
		rules = append(rules, admin.AccessRule{Resource: "Topic:" + a.TraceTopic, Actions: []string{"Pub"}})
	}
	for i := range rules {
		rules[i].SourceIPs = a.From
	}
	return rules, nil
}

// commands writes the rules as mqadmin takes them.
func (a access) commands(cluster string, rules []admin.AccessRule) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Tenant %s for user %s. Run these as a super user; createUser only where the user is missing.\n", a.Tenant, a.User)
	fmt.Fprintf(&b, "mqadmin createUser -n \"$NAMESRV_ADDR\" -c %s -u %s -p \"$SECRET_KEY\" -t Normal\n", quote(cluster), quote(a.User))
	for _, r := range rules {
		from := ""
		if len(r.SourceIPs) > 0 {
			from = " -i " + quote(strings.Join(r.SourceIPs, ","))
		}
		fmt.Fprintf(&b, "mqadmin updateAcl -n \"$NAMESRV_ADDR\" -c %s -s %s -r %s -a %s -d Allow%s\n",
			quote(cluster), quote("User:"+a.User), quote(r.Resource), strings.Join(r.Actions, ","), from)
	}
	return b.String()
}

// quote makes one word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// changes is what brokers lack.
type changes struct {
	rows    [][]string
	brokers []string // that are to be changed
	revoke  []string // resources whose rules are to go
	create  bool     // some lack the user
	any     bool     // something is to be changed
}

// compare tells what brokers have from what they are to have.
func (a *tenantACL) compare(have []admin.UserAccess, want []admin.AccessRule) (changes, error) {
	var c changes
	for _, u := range have {
		if u.Super {
			return c, fmt.Errorf("user %s is a super user on %s: no rule binds it; name another by --user", a.access.User, u.Broker)
		}
		before := len(c.rows)
		if !u.Exists {
			c.create = true
			c.rows = append(c.rows, []string{u.Broker, "create", "User:" + a.access.User, ""})
		}
		for _, w := range want {
			i := slices.IndexFunc(u.Rules, func(r admin.AccessRule) bool { return r.Resource == w.Resource })
			switch {
			case i < 0:
				c.rows = append(c.rows, []string{u.Broker, "add", w.Resource, describe(w)})
			case !same(u.Rules[i], w):
				c.rows = append(c.rows, []string{u.Broker, "replace", w.Resource, describe(w) + ", was " + describe(u.Rules[i])})
			}
		}
		changed := len(c.rows) > before
		for _, r := range u.Rules {
			if slices.ContainsFunc(want, func(w admin.AccessRule) bool { return w.Resource == r.Resource }) {
				continue
			}
			if !a.prune {
				c.rows = append(c.rows, []string{u.Broker, "keep", r.Resource, describe(r)})
				continue
			}
			changed = true
			c.rows = append(c.rows, []string{u.Broker, "remove", r.Resource, describe(r)})
			if !slices.Contains(c.revoke, r.Resource) {
				c.revoke = append(c.revoke, r.Resource)
			}
		}
		if changed {
			c.any = true
			c.brokers = append(c.brokers, u.Broker)
		}
	}
	return c, nil
}

func same(a, b admin.AccessRule) bool {
	return a.Deny == b.Deny && sameSet(a.Actions, b.Actions) && sameSet(a.SourceIPs, b.SourceIPs)
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(slices.Sorted(slices.Values(a))), slices.Compact(slices.Sorted(slices.Values(b))))
}

func describe(r admin.AccessRule) string {
	text := strings.Join(r.Actions, ",")
	if r.Deny {
		text = "deny " + text
	}
	if len(r.SourceIPs) > 0 {
		text += " from " + strings.Join(r.SourceIPs, ",")
	}
	return text
}
