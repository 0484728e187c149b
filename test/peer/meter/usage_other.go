//go:build !unix

package meter

import "time"

func processorTime() time.Duration { return 0 } // unknown: only unix runs the benchmarks

// RSS is unknown here, too.
func RSS() int64 { return 0 }
