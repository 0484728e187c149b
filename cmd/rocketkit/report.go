package main

import (
	"encoding/json"
	"time"

	"github.com/rocketkit/rocketkit/admin"
	"github.com/rocketkit/rocketkit/dynconf"
)

// documentJSON is a document in what -o json prints.
type documentJSON struct {
	Tenant   string          `json:"tenant,omitempty"`
	Group    string          `json:"group"`
	Revision int64           `json:"revision,omitempty"`
	At       *time.Time      `json:"at,omitempty"`
	Expires  *time.Time      `json:"expires,omitempty"`
	By       string          `json:"by,omitempty"`
	Key      string          `json:"key,omitempty"`
	Deleted  bool            `json:"deleted,omitempty"`
	Expired  bool            `json:"expired,omitempty"`
	Spec     json.RawMessage `json:"spec,omitempty"`
}

type serverJSON struct {
	Address  string `json:"address"`
	Revision int64  `json:"revision,omitempty"`
	Current  bool   `json:"current"`
	Error    string `json:"error,omitempty"`
}

// heldJSON is what name servers have.
type heldJSON struct {
	documentJSON

	NameServers []serverJSON `json:"nameServers"`
}

type differenceJSON struct {
	Setting string `json:"setting"`
	Now     string `json:"now"`
	New     string `json:"new"`
}

type poolJSON struct {
	Topic      string `json:"topic"`
	Workers    int    `json:"workers"`
	MaxWorkers int    `json:"maxWorkers"`
	Active     int    `json:"active"`
	Waiting    int    `json:"waiting"`
	Paused     bool   `json:"paused,omitempty"`
}

type instanceJSON struct {
	ClientID string     `json:"clientId"`
	Language string     `json:"language,omitempty"`
	Version  string     `json:"version,omitempty"`
	Status   string     `json:"status,omitempty"`
	Seconds  float64    `json:"seconds,omitempty"`
	Revision int64      `json:"revision,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Pools    []poolJSON `json:"pools,omitempty"`
}

// reportJSON is what a change prints with -o json.
type reportJSON struct {
	documentJSON

	Changes     []differenceJSON `json:"changes,omitempty"`
	NameServers []serverJSON     `json:"nameServers,omitempty"`
	Instances   []instanceJSON   `json:"instances,omitempty"`
	Applied     int              `json:"applied"`
	Live        int              `json:"live"`
}

func document(id dynconf.ID, d dynconf.Document, now time.Time) documentJSON {
	return documentJSON{
		Tenant: id.Tenant, Group: id.Group, Revision: d.Rev, At: optional(d.At), Expires: optional(d.Expires), By: d.By, Key: d.Key,
		Deleted: d.Deleted, Expired: d.ExpiredAt(now), Spec: d.Spec,
	}
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func serversJSON(servers []admin.SettingsServer) []serverJSON {
	var all []serverJSON
	for _, s := range servers {
		j := serverJSON{Address: s.Address, Revision: s.Rev, Current: s.Current}
		if s.Err != nil {
			j.Error = s.Err.Error()
		}
		all = append(all, j)
	}
	return all
}

func poolsJSON(i admin.Instance) []poolJSON {
	var all []poolJSON
	for _, p := range i.Info.Pools() {
		all = append(all, poolJSON{p.Topic, p.Core, p.Max, p.Active, p.Waiting, p.Paused})
	}
	return all
}

// report is what would be changed.
func (c *change) report(draft admin.SettingsDraft) reportJSON {
	r := reportJSON{documentJSON: document(c.state.ID, dynconf.Document{Expires: draft.Expires, Deleted: draft.Deleted, Spec: draft.Spec}, c.now)}
	for _, d := range c.rows(draft) {
		r.Changes = append(r.Changes, differenceJSON{d.path, d.before, d.after})
	}
	r.NameServers, r.Live = serversJSON(c.state.Servers), len(c.live)
	return r
}

// report is what was written, and what became of it, where that was watched.
func (f *following) report() reportJSON {
	r := reportJSON{documentJSON: document(f.state.ID, f.document, time.Now()), NameServers: serversJSON(f.servers)}
	for _, p := range f.seen {
		switch p.Progress {
		case admin.Applied:
			r.Applied++
			r.Live++
		case admin.Left:
		default:
			r.Live++
		}
		j := instanceJSON{
			ClientID: p.ClientID, Language: p.Language, Version: p.Version, Status: string(p.Progress), Seconds: p.Took.Seconds(),
			Revision: p.Settings.Rev, Pools: poolsJSON(p.Instance),
		}
		if p.Progress != admin.Applied {
			j.Detail = f.detail(p)
		}
		r.Instances = append(r.Instances, j)
	}
	if !f.watched {
		r.Live = len(f.live)
	}
	return r
}
