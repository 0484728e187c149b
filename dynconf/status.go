package dynconf

import "time"

// Status is what a [Follower] has in force and what it has refused.
type Status struct {
	Rev     int64     // of the document that counts; 0: there has been none
	At      time.Time // when it was written
	Expires time.Time // zero: never
	By      string    // who wrote it
	Key     string    // names the key that has signed it; empty when Config.Keys were not given
	Expired bool      // it counts for nothing any more: the program's own settings hold
	Deleted bool      // it says that there are no settings: the program's own hold
	From    string    // "name servers", "cache" before these have confirmed it, "file x"

	Checked time.Time // when the source last said what it has, which a file and Memory do only when that changes; zero: never

	Error    string    // why the newest document is refused, or the source can't be read; empty: neither is so
	Reason   Reason    // of Error
	ErrorRev int64     // the revision that the refused document claims; 0: none can be read
	Since    time.Time // when Error began

	Refused     map[Reason]int64 // how often since the start; each document counts once, and each time that the source became unreadable
	Disagreeing int              // name servers that hold another document than the one that counts, or none, when all were last asked
}
