package admin

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/dynconf"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// SettingsGroups lists the groups of the tenant that have a settings document on some name server, one that is deleted
// included, sorted (GET_KVLIST_BY_NAMESPACE 219). Where name servers don't answer, the [*PartialError] comes beside what
// the others have.
func (a *Admin) SettingsGroups(ctx context.Context) ([]string, error) {
	servers := a.nameServers(ctx)
	tables, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) (map[string]string, error) {
		answer, err := a.ask(ctx, s, protocol.ListKV{Namespace: dynconf.Namespace}.Frame())
		if protocol.HasCode(err, protocol.CodeQueryNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return protocol.ParseListKV(answer)
	})
	groups := map[string]bool{}
	for _, table := range tables {
		for key := range table {
			group, ours := a.view.Names.LogicalGroup(key)
			if ours && group != "" && !strings.Contains(key, "#") { // which no group's name has, but the keys of previous documents
				groups[group] = true
			}
		}
	}
	t := &tally{op: "list groups with settings"}
	t.add(servers, outcomes)
	return slices.Sorted(maps.Keys(groups)), t.err()
}
