package send

// hashIndex is which of n queues a key's messages go to: Java's SelectMessageQueueByHash with a String as its argument,
// so that Java and Go producers agree. The queues are those of route.Route.Write, which has Java's order.
func hashIndex(key string, n int) int {
	i := int(javaHash(key) % int32(n))
	if i < 0 {
		return -i
	}
	return i
}

// javaHash is Java's String.hashCode: over UTF-16 units, wrapping around.
func javaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if r < 0x10000 {
			h = 31*h + r
			continue
		}
		r -= 0x10000
		h = 31*h + (0xD800 + r>>10)
		h = 31*h + (0xDC00 + r&0x3FF)
	}
	return h
}
