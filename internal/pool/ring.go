package pool

import "time"

// ring is a queue in a circular buffer that doubles when it is full. It never shrinks, so that steady work allocates nothing, but a
// slot that was emptied holds no reference.
type ring[T any] struct {
	slots []slot[T] // its length is 0 or a power of two
	head  int       // index of the oldest
	len   int
}

type slot[T any] struct {
	item T
	put  time.Duration // since the pool's epoch
}

func (r *ring[T]) push(items []T, now time.Duration) {
	r.grow(r.len + len(items))
	mask := len(r.slots) - 1
	for i, item := range items {
		r.slots[(r.head+r.len+i)&mask] = slot[T]{item, now}
	}
	r.len += len(items)
}

// pop takes the oldest; there must be one.
func (r *ring[T]) pop() T {
	s := &r.slots[r.head]
	item := s.item
	*s = slot[T]{}
	r.head = (r.head + 1) & (len(r.slots) - 1)
	r.len--
	return item
}

// oldest is when the oldest was put; there must be one.
func (r *ring[T]) oldest() time.Duration { return r.slots[r.head].put }

// drain takes all and releases the buffer.
func (r *ring[T]) drain() []T {
	var items []T
	if r.len > 0 {
		items = make([]T, 0, r.len)
	}
	for r.len > 0 {
		items = append(items, r.pop())
	}
	*r = ring[T]{}
	return items
}

// withdraw takes out the items that which asks for, and closes the gaps.
func (r *ring[T]) withdraw(which func(*T) bool) (items []T) {
	mask, kept := len(r.slots)-1, 0
	for i := range r.len {
		from := &r.slots[(r.head+i)&mask]
		if which(&from.item) {
			items = append(items, from.item)
			continue
		}
		r.slots[(r.head+kept)&mask] = *from
		kept++
	}
	for i := kept; i < r.len; i++ {
		r.slots[(r.head+i)&mask] = slot[T]{}
	}
	r.len = kept
	return items
}

func (r *ring[T]) grow(need int) {
	if need <= len(r.slots) {
		return
	}
	size := max(len(r.slots), 16)
	for size < need {
		size *= 2
	}
	slots := make([]slot[T], size)
	n := copy(slots, r.slots[r.head:])
	copy(slots[n:], r.slots[:r.head])
	r.slots, r.head = slots, 0
}
