package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// AccessRule is one rule of a user of brokers' ACLs (ACL 2.0, RocketMQ 5.3.0 and newer). Like all of ACL, it speaks
// physical names, whatever the tenant of the Admin's client.
type AccessRule struct {
	Resource  string   // "Topic:red%orders", "Group:red%*", "Cluster:…"; a trailing * stands for any ending
	Actions   []string // Pub, Sub, Create, Update, Delete, Get, List, All
	SourceIPs []string // addresses or CIDR blocks to come from; empty means anywhere
	Deny      bool     // the rule forbids
}

// UserAccess is what one broker knows of a user. Each keeps its own users: nothing is told to the others.
type UserAccess struct {
	Broker   string // "broker-a", "broker-a replica 1"
	Address  string
	Exists   bool
	Super    bool // may do everything, whatever the rules
	Disabled bool
	Rules    []AccessRule // those of type Custom, in the broker's order
}

// Access reads what each broker of the cluster, replicas included, knows of a user. It takes the right to Get on the
// cluster.
func (a *Admin) Access(ctx context.Context, user string) ([]UserAccess, error) {
	op := "read access of user " + shown(user)
	servers, err := a.accessServers(ctx, op, user)
	if err != nil {
		return nil, err
	}
	all, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (UserAccess, error) { return a.access(ctx, s, user) })
	t := &tally{op: op}
	t.add(servers, outcomes)
	return all, t.err()
}

func (a *Admin) access(ctx context.Context, s server, user string) (UserAccess, error) {
	u := UserAccess{Broker: s.name, Address: s.address}
	answer, err := a.ask(ctx, s, protocol.GetUser{User: user}.Frame())
	if protocol.HasCode(err, protocol.CodeRequestNotSupported) {
		return u, fmt.Errorf("%w: it has no ACL 2.0, which takes RocketMQ 5.3.0 or newer", err)
	}
	if err != nil {
		return u, err
	}
	info, found, err := protocol.ParseGetUser(answer)
	if err != nil || !found {
		return u, err
	}
	u.Exists, u.Super, u.Disabled = true, strings.EqualFold(info.Type, "Super"), strings.EqualFold(info.Status, "disable")
	if answer, err = a.ask(ctx, s, protocol.GetAccess{User: user}.Frame()); err != nil {
		return u, err
	}
	policies, err := protocol.ParseGetAccess(answer)
	if err != nil {
		return u, err
	}
	for _, p := range policies {
		if p.Type != "" && p.Type != protocol.PolicyCustom {
			continue
		}
		for _, e := range p.Entries {
			u.Rules = append(u.Rules, AccessRule{e.Resource, e.Actions, e.SourceIPs, strings.EqualFold(e.Decision, "Deny")})
		}
	}
	return u, nil
}

// CreateUser makes a user without rights, by the name that is its access key and the password that is its secret key, on
// each broker that hasn't got it. A user that exists keeps the password it has. The password goes over the wire: use TLS.
func (a *Admin) CreateUser(ctx context.Context, user, password string) error {
	op := "create user " + shown(user)
	if password == "" {
		return invalid(op, "password", errors.New("is empty"))
	}
	req := protocol.CreateUser{User: protocol.UserInfo{Name: user, Password: password, Type: "Normal"}}
	return a.changeAccess(ctx, op, user, func(ctx context.Context, s server) error {
		if u, err := a.access(ctx, s, user); err != nil || u.Exists {
			return err
		}
		return a.change(ctx, s, req.Frame())
	})
}

// SetPassword changes the secret key of a user on every broker. What was signed with the old one is refused from then on,
// on one broker earlier than on the next.
func (a *Admin) SetPassword(ctx context.Context, user, password string) error {
	op := "set password of user " + shown(user)
	if password == "" {
		return invalid(op, "password", errors.New("is empty"))
	}
	req := protocol.UpdateUser{User: protocol.UserInfo{Name: user, Password: password}}
	return a.changeAccess(ctx, op, user, func(ctx context.Context, s server) error { return a.change(ctx, s, req.Frame()) })
}

// DeleteUser removes a user and all its rules from every broker; one that isn't there counts as removed.
func (a *Admin) DeleteUser(ctx context.Context, user string) error {
	return a.changeAccess(ctx, "delete user "+shown(user), user, func(ctx context.Context, s server) error {
		return a.change(ctx, s, protocol.DeleteUser{User: user}.Frame())
	})
}

// Grant adds rules to a user on every broker, where each replaces the user's rule for the same resource.
func (a *Admin) Grant(ctx context.Context, user string, rules []AccessRule) error {
	op := "grant to user " + shown(user)
	if len(rules) == 0 {
		return invalid(op, "rules", errors.New("are empty"))
	}
	req := protocol.UpdateAccess{User: user}
	for i, r := range rules {
		if r.Resource == "" || len(r.Actions) == 0 {
			return invalid(op, fmt.Sprintf("rules[%d]", i), errors.New("needs a Resource and Actions"))
		}
		decision := "Allow"
		if r.Deny {
			decision = "Deny"
		}
		req.Rules = append(req.Rules, protocol.AccessRule{Resource: r.Resource, Actions: r.Actions, SourceIPs: r.SourceIPs, Decision: decision})
	}
	return a.changeAccess(ctx, op, user, func(ctx context.Context, s server) error { return a.change(ctx, s, req.Frame()) })
}

// Revoke removes a user's rules for these resources from every broker; those that it hasn't got count as removed.
func (a *Admin) Revoke(ctx context.Context, user string, resources []string) error {
	return a.changeAccess(ctx, "revoke from user "+shown(user), user, func(ctx context.Context, s server) error {
		u, err := a.access(ctx, s, user)
		if err != nil {
			return err
		}
		for _, r := range u.Rules {
			if !slices.Contains(resources, r.Resource) {
				continue
			}
			if err := a.change(ctx, s, protocol.DeleteAccess{User: user, Resource: r.Resource}.Frame()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *Admin) changeAccess(ctx context.Context, op, user string, change func(context.Context, server) error) error {
	servers, err := a.accessServers(ctx, op, user)
	if err != nil {
		return err
	}
	t := &tally{op: op}
	a.tell(ctx, t, servers, change)
	return t.err()
}

// accessServers are all brokers: replicas answer pulls, and judge who pulls by their own users.
func (a *Admin) accessServers(ctx context.Context, op, user string) ([]server, error) {
	if user == "" || strings.ContainsAny(user, " :,*") {
		return nil, invalid(op, "user", fmt.Errorf("%s can't name a user", shown(user)))
	}
	brokers, err := a.someBrokers(ctx, op, nil)
	if err != nil {
		return nil, err
	}
	return append(masters(brokers), replicas(brokers)...), nil
}
