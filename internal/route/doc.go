// Package route answers "where are this topic's queues, and who serves them" from the name servers' tables,
// and keeps the answers fresh.
//
// A [Route] is an immutable snapshot; a [Table] holds one per topic in use, fetches it again every 30 s and whenever
// a caller met trouble, and keeps the last good one while the name servers can't be reached or have forgotten the
// topic (a name server that has just started knows no topic until its brokers have reported, which takes up to 30 s).
package route
