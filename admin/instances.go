package admin

import (
	"context"
	"slices"
	"time"

	"github.com/rocketkit/rocketkit/internal/protocol"
)

// Instance is a member of a consumer group and what it says of itself.
type Instance struct {
	Member
	Info RunningInfo // zero where there is an Err
	Err  error       // why it couldn't be asked
}

// Instances asks all members of a consumer group what they do, as [Admin.RunningInfo] asks one, at once; sorted by
// client id. Members that can't be asked, or don't answer within the request time-out, are listed with the reason. Where brokers don't answer, the [*PartialError]
// comes beside the members that the others know.
func (a *Admin) Instances(ctx context.Context, group string) ([]Instance, error) {
	op := "read the instances of group " + shown(group)
	w, err := a.watched(ctx, op, group)
	if err != nil {
		return nil, err
	}
	members, err := w.members(ctx)
	instances, _ := onEach(ctx, members, func(ctx context.Context, m member) (Instance, error) {
		ctx, cancel := context.WithTimeout(ctx, a.view.RequestTimeout())
		defer cancel()
		info, err := w.ask(ctx, m)
		return Instance{m.Member, info, err}, nil
	})
	for i, m := range members {
		if instances[i].ClientID == "" { // ctx has ended
			instances[i] = Instance{Member: m.Member, Err: context.Cause(ctx)}
		}
	}
	return instances, err
}

// slowNameServer is how much longer than the quickest one a name server may take to tell the brokers. Where that is asked
// while somebody waits to see what instances do, one that hangs must not take part.
const slowNameServer = 300 * time.Millisecond

// watchedGroup is a group whose members are asked again and again. It asks the name servers once for the brokers: one of
// them that hangs would delay each answer.
type watchedGroup struct {
	admin    *Admin
	op       string
	physical string
	masters  []server
}

// member is a member and the brokers that it is connected to.
type member struct {
	Member
	at []server
}

func (a *Admin) watched(ctx context.Context, op, group string) (*watchedGroup, error) {
	physical, err := a.group(op, "group", group)
	if err != nil {
		return nil, err
	}
	brokers, err := a.brokersWithin(ctx, op, slowNameServer)
	switch {
	case err != nil:
		return nil, err
	case len(brokers) == 0:
		return nil, noBrokers(op)
	}
	return &watchedGroup{a, op, physical, masters(brokers)}, nil
}

// members unites what the masters know.
func (w *watchedGroup) members(ctx context.Context) ([]member, error) {
	seen, t := w.admin.connectionsAt(ctx, w.op, w.physical, w.masters)
	known := map[string]*member{}
	var all []member
	for i, at := range seen {
		for _, c := range at.Connections {
			m := known[c.ClientID]
			if m == nil {
				m = &member{Member: Member{c.ClientID, c.Language, protocol.VersionName(c.Version), map[string]string{}}}
				known[c.ClientID] = m
			}
			m.Addresses[w.masters[i].name] = c.Address
			m.at = append(m.at, w.masters[i])
		}
	}
	for _, m := range known {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(x, y member) int { return compareMembers(x.Member, y.Member) })
	return all, t.err()
}

// ask asks a member by way of the brokers it is connected to, until one brings an answer.
func (w *watchedGroup) ask(ctx context.Context, m member) (RunningInfo, error) {
	return w.admin.relayed(ctx, m.at, w.physical, m.ClientID, false)
}
