package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/route"
)

// MaxFound is how many messages one broker finds for a key at most (RocketMQ's MessageStoreConfig.maxMsgsNumBatch).
const MaxFound = 64

// maxBody is how large a compressed body may grow.
const maxBody = 64 << 20

// ErrNotFound means that no broker of the topic has a message that was looked for: it never was there, or retention has
// deleted it, or it was stored within the last moments and isn't in the broker's index yet.
var ErrNotFound = errors.New("no such message")

// StoredMessage is a message as a broker keeps it. Its Queue, Offset and StoreTime say where and since when.
type StoredMessage struct {
	rocketkit.Message

	StoreHost       netip.AddrPort // of the broker that stored it, as that names itself
	CommitLogOffset int64          // place in that broker's commit log
}

// Message finds a message of the tenant's by its id: its own ([rocketkit.Message.ID], producer.Receipt.ID), for which all
// brokers of the topic are asked (QUERY_MESSAGE 12), or the one that a broker gave it (OffsetID), which names the broker
// and the place (VIEW_MESSAGE_BY_ID 33). The latter is only asked for where the topic's route has that broker: no other
// address is ever dialed. topic may be a group's own, "%RETRY%billing" or "%DLQ%billing", where its retries and dead
// letters are kept under the same id. Of a message that was stored more than once the first comes back.
//
// The error wraps [ErrNotFound] when every broker answered and none has it; a broker that didn't answer is a
// [*PartialError], unless another has found the message. RocketMQ's own topics, where messages of all tenants lie, are
// refused with [rocketkit.ErrConfig].
//
// An offset id is read where it points. One that was made up may lead a broker into the middle of a message, whose bytes
// it then sends as they come; what isn't the message of that id, and of that topic, is never returned.
func (a *Admin) Message(ctx context.Context, topic, id string) (StoredMessage, error) {
	op := fmt.Sprintf("find message %s of %s", shown(id), shown(topic))
	physical, err := a.own(op, topic)
	if err != nil {
		return StoredMessage{}, err
	}
	if id == "" || strings.ContainsFunc(id, unicode.IsSpace) {
		return StoredMessage{}, invalid(op, "id", errors.New("empty, or with a space"))
	}
	r, err := a.view.Route(ctx, physical)
	if err != nil {
		return StoredMessage{}, failed(op, err)
	}
	l := lookup{admin: a, topic: topic, physical: physical, route: r}
	if store, offset, err := protocol.ParseOffsetID(id); err == nil {
		if s, ok := l.at(store); ok {
			if m, ok, err := l.view(ctx, s, id, offset); ok || err != nil {
				return m, inCall(op, err)
			}
		}
	}
	t := &tally{op: op}
	found := l.query(ctx, t, protocol.QueryMessages{Key: id, Unique: true, Max: MaxFound, End: math.MaxInt64},
		func(m *protocol.Message) bool { return m.ID() == id })
	if len(found) == 0 {
		if err := t.err(); err != nil {
			return StoredMessage{}, err
		}
		return StoredMessage{}, failed(op, ErrNotFound)
	}
	return slices.MinFunc(found, older), nil
}

// MessagesByKey finds messages of the tenant's that have a key (producer.Message.Keys) and were stored from one time to
// another, both included, to the millisecond by the brokers' clocks; a zero time means no bound. The newest come first, at
// most so many; 0 means [MaxFound], which is also the most: narrow the times to see others. All brokers of the topic
// are asked; what they found comes back, as far as they could, beside a [*PartialError]. Without any the error wraps
// [ErrNotFound]. topic is as in [Admin.Message].
func (a *Admin) MessagesByKey(ctx context.Context, topic, key string, from, to time.Time, most int) ([]StoredMessage, error) {
	op := fmt.Sprintf("find messages with key %s of %s", shown(key), shown(topic))
	physical, err := a.own(op, topic)
	if err != nil {
		return nil, err
	}
	q := protocol.QueryMessages{Key: key, Max: MaxFound, End: math.MaxInt64}
	if !from.IsZero() {
		q.Begin = from.UnixMilli()
	}
	if !to.IsZero() {
		q.End = to.UnixMilli()
	}
	switch {
	case key == "" || strings.ContainsFunc(key, unicode.IsSpace):
		return nil, invalid(op, "key", errors.New("empty, or with a space, which divides keys"))
	case q.End < q.Begin:
		return nil, invalid(op, "to", fmt.Errorf("%v is before from, %v", to, from))
	case most < 0 || most > MaxFound:
		return nil, invalid(op, "most", fmt.Errorf("%d is none of 0 to %d", most, MaxFound))
	case most == 0:
		most = MaxFound
	}
	r, err := a.view.Route(ctx, physical)
	if err != nil {
		return nil, failed(op, err)
	}
	t := &tally{op: op}
	found := (&lookup{admin: a, topic: topic, physical: physical, route: r}).query(ctx, t, q, func(m *protocol.Message) bool {
		return slices.Contains(m.Keys(), key) && m.StoreMillis >= q.Begin && m.StoreMillis <= q.End
	})
	slices.SortFunc(found, func(x, y StoredMessage) int { return older(y, x) })
	found = found[:min(len(found), most)]
	if err := t.err(); err != nil || len(found) > 0 {
		return found, err
	}
	return nil, failed(op, ErrNotFound)
}

// own is readable for what only the tenant's own topics may be asked for.
func (a *Admin) own(op, topic string) (string, error) {
	physical, err := a.readable(op, topic)
	if err == nil && systemTopic(physical) {
		err = invalid(op, "topic", fmt.Errorf("%s belongs to RocketMQ, and holds messages of all tenants", topic))
	}
	return physical, err
}

func inCall(op string, err error) error {
	if err != nil {
		return failed(op, err)
	}
	return nil
}

func older(x, y StoredMessage) int {
	return cmp.Or(x.StoreTime().Compare(y.StoreTime()), cmp.Compare(x.Queue().String(), y.Queue().String()), cmp.Compare(x.Offset(), y.Offset()))
}

// lookup is a search in one topic.
type lookup struct {
	admin           *Admin
	topic, physical string
	route           *route.Route
}

// servers gives who is asked about the topic: of each broker the master, and while it is away a replica.
func (l *lookup) servers() []server {
	var servers []server
	for _, broker := range l.route.Brokers() {
		if address, ok := l.route.Address(broker, protocol.MasterID); ok {
			servers = append(servers, server{name: broker, address: address})
		}
	}
	return servers
}

// at gives the broker of the topic whose master or replica has an address.
func (l *lookup) at(store netip.AddrPort) (server, bool) {
	for _, broker := range l.route.Brokers() {
		for _, address := range l.route.Nodes(broker) {
			if node, err := netip.ParseAddrPort(address); err == nil && node.Addr().Unmap() == store.Addr().Unmap() && node.Port() == store.Port() {
				return server{name: broker, address: address}, true
			}
		}
	}
	return server{}, false
}

// view reads the message at an offset. What lies there and isn't the message with that id is none.
func (l *lookup) view(ctx context.Context, s server, id string, offset int64) (m StoredMessage, ok bool, err error) {
	answer, err := l.admin.ask(ctx, s, protocol.ViewMessage{Topic: l.physical, Offset: offset}.Frame())
	if protocol.HasCode(err, protocol.CodeSystemError) { // that is how brokers say that there is none
		return StoredMessage{}, false, nil
	}
	if err != nil {
		return StoredMessage{}, false, err
	}
	raw, err := protocol.ParseViewMessage(answer)
	if err != nil || raw.Topic != l.physical || !strings.EqualFold(raw.OffsetID(), id) {
		return StoredMessage{}, false, nil //nolint:nilerr // bytes that are no message are none
	}
	m, err = l.stored(s, &raw)
	return m, err == nil, err
}

// query asks each broker and gives what is wanted of what they found: they look keys up by a hash.
func (l *lookup) query(ctx context.Context, t *tally, q protocol.QueryMessages, wanted func(*protocol.Message) bool) []StoredMessage {
	q.Topic = l.physical
	servers := l.servers()
	lists, outcomes := onEach(ctx, servers, func(ctx context.Context, s server) ([]StoredMessage, error) {
		answer, err := l.admin.ask(ctx, s, q.Frame())
		if protocol.HasCode(err, protocol.CodeQueryNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		raws, err := protocol.ParseQueryMessages(answer, l.physical)
		if err != nil {
			return nil, err
		}
		var found []StoredMessage
		for i := range raws {
			if raws[i].Topic != l.physical || !wanted(&raws[i]) {
				continue
			}
			m, err := l.stored(s, &raws[i])
			if err != nil {
				return found, err
			}
			found = append(found, m)
		}
		return found, nil
	})
	t.add(servers, outcomes)
	return slices.Concat(lists...)
}

// stored makes a StoredMessage of what a broker sent.
func (l *lookup) stored(s server, raw *protocol.Message) (StoredMessage, error) {
	if err := raw.Inflate(maxBody); err != nil {
		return StoredMessage{}, fmt.Errorf("message %s: %w", raw.OffsetID(), err)
	}
	sentTo := l.topic
	if origin, ok := raw.Properties.Get(protocol.PropertyRetryTopic); ok {
		if logical, mine := l.admin.view.Names.LogicalTopic(origin); mine {
			sentTo = logical
		}
	}
	queue := rocketkit.Queue{Topic: l.topic, Broker: s.name, ID: int(raw.QueueID)}
	return StoredMessage{Message: rocketkit.Received(raw, sentTo, queue), StoreHost: raw.StoreHost, CommitLogOffset: raw.CommitLogOffset}, nil
}
