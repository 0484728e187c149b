package protocol

import "testing"

// The ordinals are those of RocketMQ 5.5.0's enum.
func TestVersionName(t *testing.T) {
	t.Parallel()
	for ordinal, want := range map[int32]string{
		0: "before V4_0_0", 211: "before V4_0_0", 212: "V4_0_0_SNAPSHOT", 213: "V4_0_0", 407: "V4_9_7", 413: "V5_0_0", 493: "V5_4_0",
		512: "V5_5_0_SNAPSHOT", 513: "V5_5_0", 611: "V5_9_9", 612: "HIGHER_VERSION", 5000: "HIGHER_VERSION", -1: "before V4_0_0",
	} {
		if got := VersionName(ordinal); got != want {
			t.Errorf("%d is %s, want %s", ordinal, got, want)
		}
	}
}
