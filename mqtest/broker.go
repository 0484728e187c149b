package mqtest

import (
	"sync"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// broker is one master. Its lock covers all of its state and is held while a request is handled, so that requests are
// handled one at a time.
type broker struct {
	cluster *Cluster
	name    string
	server  *server
	ids     *protocol.IDs // for messages that come without one

	mu      sync.Mutex
	run     int // counts starts: what was planned in an earlier run no longer counts
	started time.Time
	ahead   time.Duration // of its clock before the test's

	// What a real broker has on disk.
	store        store
	groups       map[string]protocol.GroupConfig
	offsets      map[place]int64
	waiting      map[*record]time.Time // delayed messages, until they are delivered
	prepared     map[int64]*record     // transactions without an outcome, by commit-log offset
	settled      map[int64]bool        // those with one, by their offset among the prepared
	topicVersion protocol.DataVersion
	groupVersion protocol.DataVersion

	// What it has in memory only.
	members     map[string]*group
	subscribers map[string]map[string]bool // groups that subscribed, by topic
	producers   map[string][]*conn         // by group
	clients     map[string]*conn           // by client id: to whom replies go
	locks       map[string]map[protocol.Queue]*queueLock
	resets      map[place]int64
	pulled      map[place]int64
	holds       map[queueKey][]*hold
	scan        *plan // looks for members that fell silent
	check       *plan // looks for transactions to ask about
	asked       int   // how often it did
}

// place is one queue as one group sees it.
type place struct {
	group, topic string
	queue        int32
}

// handlers are what a broker answers, each under its lock. A handler that returns nil answers later, or not at all.
var handlers = map[int32]func(*broker, *call) *frame.Frame{
	protocol.ReqSendMessage:          (*broker).send,
	protocol.ReqSendMessageV2:        (*broker).send,
	protocol.ReqSendBatch:            (*broker).send,
	protocol.ReqSendReply:            (*broker).sendReply,
	protocol.ReqSendReplyV2:          (*broker).sendReply,
	protocol.ReqPullMessage:          (*broker).pull,
	protocol.ReqQueryConsumerOffset:  (*broker).queryOffset,
	protocol.ReqUpdateConsumerOffset: (*broker).updateOffset,
	protocol.ReqSearchOffset:         (*broker).searchOffset,
	protocol.ReqMaxOffset:            (*broker).maxOffset,
	protocol.ReqMinOffset:            (*broker).minOffset,
	protocol.ReqEarliestStoreTime:    (*broker).earliestTime,
	protocol.ReqHeartbeat:            (*broker).heartbeat,
	protocol.ReqUnregister:           (*broker).unregister,
	protocol.ReqConsumerList:         (*broker).listMembers,
	protocol.ReqSendBack:             (*broker).sendBack,
	protocol.ReqLockQueues:           (*broker).lock,
	protocol.ReqUnlockQueues:         (*broker).unlock,
	protocol.ReqEndTransaction:       (*broker).endTransaction,
	protocol.ReqRunningInfo:          (*broker).relay,
	protocol.ReqConsumeDirectly:      (*broker).consumeDirectly,
	protocol.ReqResetOffset:          (*broker).resetOffset,
	protocol.ReqConsumeStats:         (*broker).consumeStats,
	protocol.ReqTopicStats:           (*broker).topicStats,
	protocol.ReqGroupsOfTopic:        (*broker).listGroupsOfTopic,
	protocol.ReqAllConsumerOffsets:   (*broker).allOffsets,
	protocol.ReqBrokerRuntimeInfo:    (*broker).runtimeInfo,
	protocol.ReqGetBrokerConfig:      (*broker).brokerConfig,
	protocol.ReqViewMessage:          (*broker).viewMessage,
	protocol.ReqQueryMessage:         (*broker).queryMessages,
	reqTopicsOfGroup:                 (*broker).listTopicsOfGroup,
	reqProducerConns:                 (*broker).producerConnections,
	protocol.ReqCheckClient:          (*broker).checkClient,
	protocol.ReqConsumerConnection:   (*broker).connections,
	protocol.ReqCreateTopic:          (*broker).createTopic,
	protocol.ReqDeleteTopicBroker:    (*broker).deleteTopic,
	protocol.ReqGetTopicConfig:       (*broker).topicConfig,
	protocol.ReqGetAllTopicConfig:    (*broker).topicConfigs,
	protocol.ReqCreateGroup:          (*broker).createGroup,
	protocol.ReqDeleteGroup:          (*broker).deleteGroup,
	protocol.ReqGetGroupConfig:       (*broker).groupConfig,
	protocol.ReqListGroups:           (*broker).groupConfigs,
	protocol.ReqRecall:               (*broker).recall,
}

func newBroker(c *Cluster, i int) *broker {
	b := &broker{
		cluster:  c,
		name:     serverName("broker", i),
		groups:   map[string]protocol.GroupConfig{},
		offsets:  map[place]int64{},
		waiting:  map[*record]time.Time{},
		prepared: map[int64]*record{},
		settled:  map[int64]bool{},
	}
	b.store.init()
	b.server = &server{
		cluster: c, name: b.name, address: brokerAddress(i),
		handle: b.handle, ended: b.disconnected, conns: map[*conn]struct{}{},
	}
	b.ids = protocol.NewIDs(b.server.address.Addr(), i+1)
	b.forget()
	b.createOwn()
	return b
}

// forget empties what a broker doesn't keep over a restart.
func (b *broker) forget() {
	b.members = map[string]*group{}
	b.subscribers = map[string]map[string]bool{}
	b.producers = map[string][]*conn{}
	b.clients = map[string]*conn{}
	b.locks = map[string]map[protocol.Queue]*queueLock{}
	b.resets = map[place]int64{}
	b.pulled = map[place]int64{}
	b.holds = map[queueKey][]*hold{}
}

func (b *broker) start() {
	b.mu.Lock()
	b.run++
	b.started = time.Now()
	for r, due := range b.waiting {
		b.deliverAt(r, due)
	}
	if len(b.prepared) > 0 {
		b.planCheck()
	}
	b.mu.Unlock()
	b.server.setUp(true)
	for _, n := range b.cluster.nameServers {
		b.registerAt(n)
	}
}

func (b *broker) stop() {
	b.server.setUp(false)
	b.mu.Lock()
	b.run++
	b.forget()
	b.cluster.schedule.cancel(b.scan)
	b.cluster.schedule.cancel(b.check)
	b.scan, b.check = nil, nil
	b.mu.Unlock()
	for _, n := range b.cluster.nameServers {
		n.unregister(b.name)
	}
	b.cluster.state.change()
}

// registerAt tells a name server every topic.
func (b *broker) registerAt(n *nameServer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.server.isUp() {
		return
	}
	topics := make([]protocol.TopicConfig, 0, len(b.store.topics))
	for _, t := range b.store.topics {
		topics = append(topics, t.config)
	}
	n.register(b.name, b.server.address.String(), topics)
}

func (b *broker) handle(c *call) {
	handler, known := handlers[c.req.Code]
	if !known {
		c.answer(unsupported(c.req))
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := handler(b, c); f != nil {
		c.answer(f)
	}
}

// later runs do under the broker's lock after a while, unless the broker is restarted before.
func (b *broker) later(wait time.Duration, do func()) *plan {
	run := b.run
	return b.cluster.schedule.after(wait, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.run == run {
			do()
		}
	})
}
