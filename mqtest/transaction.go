package mqtest

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// mostChecks is how often a producer is asked before a transaction is given up (transactionCheckMax).
const mostChecks = 15

// prepare stores the first half of a transaction where no consumer sees it (TransactionalMessageBridge).
func (b *broker) prepare(m protocol.Message, props properties) (*record, *frame.Frame) {
	if id := props.get(protocol.PropertyUniqueKey); id != "" {
		props.set(protocol.PropertyTransactionID, id)
	}
	m.SysFlag &^= protocol.SysTransaction
	props.set(protocol.PropertyRealTopic, m.Topic)
	props.set(protocol.PropertyRealQueueID, strconv.Itoa(int(m.QueueID)))
	props.drop(protocol.PropertyDelayLevel) // a transaction can't be delayed as well
	m.Topic, m.QueueID = topicHalf, 0
	r, refusal := b.put(m, props)
	if r != nil {
		b.prepared[r.msg.CommitLogOffset] = r
		b.planCheck()
	}
	return r, refusal
}

// endTransaction commits a prepared message, which then goes where it was sent to, or rolls it back
// (EndTransactionProcessor). Without an outcome the broker asks later.
func (b *broker) endTransaction(c *call) *frame.Frame {
	end, err := protocol.ParseEndTransaction(c.req)
	if err != nil {
		return malformed(err)
	}
	if end.Outcome != protocol.SysCommitted && end.Outcome != protocol.SysRolledBack {
		return nil
	}
	r := b.store.log[end.CommitLogOffset]
	if r == nil || r.msg.Topic != topicHalf {
		return refuse(protocol.CodeSystemError, "Find prepared transaction message failed")
	}
	props := readProperties(r.msg.Properties)
	if refusal := b.checkEnd(&end, r, props); refusal != nil {
		return refusal
	}
	if end.Outcome == protocol.SysRolledBack {
		b.settle(r)
		return succeeded()
	}
	if refusal := b.commit(r, props); refusal != nil {
		return refusal
	}
	b.settle(r)
	return &frame.Frame{}
}

func (b *broker) checkEnd(end *protocol.EndTransaction, r *record, props properties) *frame.Frame {
	switch immunity, limited := b.immunity(props); {
	case !end.FromCheck && limited && b.now().Sub(r.msg.BornTime()) > immunity:
		return refuse(protocol.CodeIllegalOperation, "")
	case props.get(protocol.PropertyProducerGroup) != end.ProducerGroup:
		return refuse(protocol.CodeSystemError, "The producer group wrong")
	case r.msg.QueueOffset != end.PreparedOffset:
		return refuse(protocol.CodeSystemError, "The transaction state table offset wrong")
	}
	return nil
}

func (b *broker) commit(r *record, props properties) *frame.Frame {
	m := r.msg
	queue, _ := strconv.Atoi(props.get(protocol.PropertyRealQueueID))
	m.Topic, m.QueueID = props.get(protocol.PropertyRealTopic), int32(queue)
	m.SysFlag |= protocol.SysCommitted
	m.PreparedOffset = r.msg.CommitLogOffset
	props.drop(protocol.PropertyRealTopic)
	props.drop(protocol.PropertyRealQueueID)
	_, refusal := b.put(m, props)
	return refusal
}

// settle notes that a prepared message has an outcome; a second one still finds it, as it does on a real broker.
func (b *broker) settle(r *record) {
	delete(b.prepared, r.msg.CommitLogOffset)
	b.cluster.state.change()
}

// planCheck looks at the transactions without an outcome with the broker's next check.
func (b *broker) planCheck() {
	if b.check != nil || len(b.prepared) == 0 {
		return
	}
	every := b.cluster.cfg.TransactionCheckInterval
	b.check = b.later(every-time.Since(b.started)%every, func() {
		b.check = nil
		b.askProducers()
		b.planCheck()
	})
}

// immunity is how old a prepared message must be to be asked for; limited when the sender set it.
func (b *broker) immunity(props properties) (age time.Duration, limited bool) {
	if n, err := strconv.Atoi(props.get(protocol.PropertyCheckImmunity)); err == nil && n >= 0 {
		return time.Duration(n) * time.Second, true
	}
	return b.cluster.cfg.TransactionTimeout, false
}

// askProducers asks for every outcome that is due (TransactionalMessageServiceImpl.check). The prepared message is
// stored anew with a higher count each time; what was asked too often is given up.
func (b *broker) askProducers() {
	for _, at := range slices.Sorted(maps.Keys(b.prepared)) {
		r := b.prepared[at]
		props := readProperties(r.msg.Properties)
		if age, _ := b.immunity(props); b.now().Sub(r.msg.BornTime()) <= age {
			continue
		}
		checks, _ := strconv.Atoi(props.get(protocol.PropertyTransactionChecks))
		if checks >= mostChecks {
			b.giveUp(r)
			continue
		}
		props.set(protocol.PropertyTransactionChecks, strconv.Itoa(checks+1))
		again := r.msg
		again.Properties, again.StoreMillis = props.block(), b.millis()
		delete(b.prepared, at)
		r = b.storeMessage(again)
		b.prepared[r.msg.CommitLogOffset] = r
		b.askProducer(r, props)
	}
}

func (b *broker) giveUp(r *record) {
	delete(b.prepared, r.msg.CommitLogOffset)
	b.topicOfGroup(topicUnsolved, 1)
	m := r.msg
	m.Topic, m.QueueID, m.StoreMillis = topicUnsolved, 0, b.millis()
	b.storeMessage(m)
}

// askProducer sends one member of the producer group the question (CHECK_TRANSACTION_STATE).
func (b *broker) askProducer(r *record, props properties) {
	producers := b.producers[props.get(protocol.PropertyProducerGroup)]
	if len(producers) == 0 {
		return
	}
	m := r.msg
	queue, _ := strconv.Atoi(props.get(protocol.PropertyRealQueueID))
	m.Topic, m.QueueID = props.get(protocol.PropertyRealTopic), int32(queue)
	id := props.get(protocol.PropertyUniqueKey)
	producers[int(r.msg.QueueOffset)%len(producers)].tell(protocol.CheckTransaction{
		PreparedOffset: r.msg.QueueOffset, CommitLogOffset: r.msg.CommitLogOffset, MessageID: id, TransactionID: id,
		OffsetID: r.msg.OffsetID(), BrokerName: b.name, Message: m,
	}.Request())
}
