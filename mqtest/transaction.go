package mqtest

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// fileReserved is how old a prepared message gets before it is given up unasked (fileReservedTime).
const fileReserved = 72 * time.Hour

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

// settle notes that a prepared message has an outcome; a second one still finds it, as it does on a real broker. It is
// this copy that has one: others, stored anew by checks, stay open.
func (b *broker) settle(r *record) {
	delete(b.prepared, r.msg.CommitLogOffset)
	b.settled[r.msg.QueueOffset] = true
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

// immunity is how old a prepared message must be to be asked for; limited when the sender set it, be it to nonsense.
func (b *broker) immunity(props properties) (age time.Duration, limited bool) {
	text := props.get(protocol.PropertyCheckImmunity)
	if n, err := strconv.Atoi(text); err == nil && n != -1 {
		return time.Duration(n) * time.Second, true
	}
	return b.cluster.cfg.TransactionTimeout, text != ""
}

// askProducers asks for every outcome that is due (TransactionalMessageServiceImpl.check). The prepared message is
// stored anew with a higher count each time; what was asked too often is given up. One that its sender wants left alone
// for a while is stored anew and counted all the same, with the place it had at first, where its outcome is looked for.
func (b *broker) askProducers() {
	for _, at := range slices.Sorted(maps.Keys(b.prepared)) {
		r := b.prepared[at]
		props := readProperties(r.msg.Properties)
		age := b.now().Sub(r.msg.BornTime())
		checks, _ := strconv.Atoi(props.get(protocol.PropertyTransactionChecks))
		immunity, limited := b.immunity(props)
		switch {
		case checks >= b.cluster.cfg.TransactionCheckMax, age > fileReserved:
			b.giveUp(r)
		case limited && age <= immunity:
			delete(b.prepared, at)
			first := props.get(protocol.PropertyPreparedOffset)
			if first == "" {
				first = strconv.FormatInt(r.msg.QueueOffset, 10)
			}
			if offset, _ := strconv.ParseInt(first, 10, 64); !b.settled[offset] {
				props.set(protocol.PropertyPreparedOffset, first)
				b.prepareAgain(r, props, checks+1)
			}
		case !limited && age >= 0 && age <= immunity:
		default:
			delete(b.prepared, at)
			b.askProducer(b.prepareAgain(r, props, checks+1), props)
		}
	}
}

// prepareAgain stores a prepared message anew.
func (b *broker) prepareAgain(r *record, props properties, checks int) *record {
	props.set(protocol.PropertyTransactionChecks, strconv.Itoa(checks))
	m := r.msg
	m.Properties, m.StoreMillis = props.block(), b.millis()
	r = b.storeMessage(m)
	b.prepared[r.msg.CommitLogOffset] = r
	return r
}

func (b *broker) giveUp(r *record) {
	delete(b.prepared, r.msg.CommitLogOffset)
	b.topicOfGroup(topicUnsolved, 1)
	m := r.msg
	m.Topic, m.QueueID, m.StoreMillis = topicUnsolved, 0, b.millis()
	b.storeMessage(m)
}

// askProducer sends one member of the producer group, in turn, the question (CHECK_TRANSACTION_STATE).
func (b *broker) askProducer(r *record, props properties) {
	producers := b.producers[props.get(protocol.PropertyProducerGroup)]
	if len(producers) == 0 {
		return
	}
	m := r.msg
	queue, _ := strconv.Atoi(props.get(protocol.PropertyRealQueueID))
	m.Topic, m.QueueID = props.get(protocol.PropertyRealTopic), int32(queue)
	id := props.get(protocol.PropertyUniqueKey)
	b.asked++
	producers[b.asked%len(producers)].tell(protocol.CheckTransaction{
		PreparedOffset: r.msg.QueueOffset, CommitLogOffset: r.msg.CommitLogOffset, MessageID: id, TransactionID: id,
		OffsetID: r.msg.OffsetID(), BrokerName: b.name, Message: m,
	}.Request())
}
