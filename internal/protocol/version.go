package protocol

import "fmt"

// Version5 is the ordinal of V5_0_0, the first version with timers, in RocketMQ's MQVersion.Version: every answer bears
// that of its server.
const Version5 int32 = 413

// What of RocketMQ's enum MQVersion.Version is regular: from 4.0.0 on each version is two ordinals, a snapshot's and its
// own, and there are ten minors of ten patches.
const (
	version4    = 212 // V4_0_0_SNAPSHOT
	versionLast = 611 // V5_9_9
)

// VersionName gives the name that RocketMQ's tools show for the version in a header, "V5_4_0".
func VersionName(ordinal int32) string {
	switch {
	case ordinal < version4:
		return "before V4_0_0"
	case ordinal > versionLast:
		return "HIGHER_VERSION"
	}
	at := ordinal - version4
	name := fmt.Sprintf("V%d_%d_%d", 4+at/200, at/20%10, at/2%10)
	if at%2 == 0 {
		name += "_SNAPSHOT"
	}
	return name
}
