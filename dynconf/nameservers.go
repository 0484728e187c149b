package dynconf

import (
	"context"

	"github.com/rocketkit/rocketkit/internal/cluster"
)

// NameServers is the key-value table of the name servers that view's Client knows. All groups of all tenants of a Client
// share one poller: it asks one name server each 0.8 s ± 20 % (GET_KV_CONFIG 101), the next one each time, and the one after that at
// once when it fails, takes more than 300 ms, or has an older document than another had; each minute, and for a group that is new, it asks all of them. Otherwise one
// that lets a request run out of time is left alone for 10 s. It begins with the first watcher and ends with the last, or with the
// Client. Requests are signed with the Client's own credentials, not with
// those of a tenant that Client.For was called for.
//
// A Follower compares what all name servers have. Others that Watch it are told of each different text as it is read,
// of an older revision too.
func NameServers(view *cluster.View) Source { return nameServers{view.Cluster} }

// replicated is a source that has several copies of a document, which may differ.
type replicated interface {
	// follow is Watch with what each copy says.
	follow(ctx context.Context, id ID, hear func(hearing))

	// origin tells one such source from another.
	origin() string
}

type nameServers struct{ cluster *cluster.Cluster }

// String is [Source]'s.
func (nameServers) String() string { return "name servers" }

func (s nameServers) origin() string { return s.cluster.Origin() }

func (s nameServers) follow(ctx context.Context, id ID, hear func(hearing)) {
	p := s.cluster.Poller(func() cluster.Poller { return newPoller(s.cluster) })
	p.(*poller).follow(ctx, id, hear) //nolint:errcheck // nobody else makes one
}

// Watch is [Source]'s.
func (s nameServers) Watch(ctx context.Context, id ID, found func(text string, err error)) {
	told := map[string]bool{}
	s.follow(ctx, id, func(h hearing) {
		if h.err != nil {
			clear(told)
			found("", h.err)
			return
		}
		some := map[string]bool{}
		for _, text := range h.texts {
			if text != "" {
				some[text] = true
			}
		}
		if len(some) == 0 {
			some[""] = true
		}
		for text := range some {
			if !told[text] {
				found(text, nil)
			}
		}
		told = some
	})
}
