package producer

import "github.com/rocketkit/rocketkit/internal/hook"

// Remaining counts what a Producer's lines hold: messages, keys, and lanes of queues.
func (p *Producer) Remaining() (messages, keys, lanes int) {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	for _, l := range p.lines.all {
		l.mu.Lock()
		keys += len(l.keys)
		lanes += len(l.queues)
		messages += l.anyQueue.count + l.apart.count + l.unrouted.count
		for _, n := range l.queues {
			messages += n.count
		}
		l.mu.Unlock()
	}
	return messages, keys, lanes
}

// Lines counts the topics that a Producer has lines of.
func (p *Producer) Lines() int {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	return len(p.lines.all)
}

// Watch has hooks watch a Producer that hasn't sent yet.
func (p *Producer) Watch(hooks ...hook.Sender) { p.hooks = hooks }
