package send

import "testing"

func TestHashIsJavas(t *testing.T) {
	t.Parallel()
	// What OpenJDK 17 gives for String.hashCode and, for each number of queues, SelectMessageQueueByHash.
	queues := [...]int{1, 4, 7, 16, 17, 1000}
	for key, want := range map[string]struct {
		hash  int32
		index [len(queues)]int
	}{
		"a":                    {97, [...]int{0, 1, 6, 1, 12, 97}},
		"order-1":              {-1207111310, [...]int{0, 2, 6, 14, 11, 310}},
		"order-42":             {1234255197, [...]int{0, 1, 0, 13, 15, 197}},
		"user:4711":            {303400498, [...]int{0, 2, 2, 2, 2, 498}},
		"polygenelubricants":   {-2147483648, [...]int{0, 0, 2, 0, 9, 648}}, // Integer.MIN_VALUE, which Math.abs leaves negative
		"GydZG_":               {-2147483648, [...]int{0, 0, 2, 0, 9, 648}},
		"DESIGNING WORKHOUSES": {-2147483648, [...]int{0, 0, 2, 0, 9, 648}},
		"Aa":                   {2112, [...]int{0, 0, 5, 0, 4, 112}},
		"BB":                   {2112, [...]int{0, 0, 5, 0, 4, 112}},
		"ärger":                {214061190, [...]int{0, 2, 0, 6, 12, 190}},
		"订单":                   {1129459, [...]int{0, 3, 2, 3, 13, 459}},
		"😀 smile":              {-1559691765, [...]int{0, 1, 2, 5, 7, 765}}, // a surrogate pair
		"\uFFFD":               {65533, [...]int{0, 1, 6, 13, 15, 533}},
		"ZZZZZZZZZZZZ":         {-880209024, [...]int{0, 0, 2, 0, 7, 24}},
		"0123456789012345678901234567890123456789": {1478511252, [...]int{0, 0, 1, 4, 2, 252}},
		"": {0, [...]int{0, 0, 0, 0, 0, 0}},
	} {
		if got := javaHash(key); got != want.hash {
			t.Errorf("javaHash(%q) = %d, want %d", key, got, want.hash)
		}
		for i, n := range queues {
			if got := hashIndex(key, n); got != want.index[i] {
				t.Errorf("hashIndex(%q, %d) = %d, want %d", key, n, got, want.index[i])
			}
		}
	}
}
