// Package testcluster runs a real RocketMQ: name servers and brokers as child
// processes on loopback ports, for tests and for `make up`.
//
// Maven fetches the jars once per version into the user's cache directory, so
// the first start of a version needs the network, java and mvn; later ones need
// java alone. A cluster's files lie in one temporary directory (below TMPDIR)
// and its servers listen on ports outside the range that the system hands out
// to outgoing connections, so that a stopped server's port stays free for it.
//
// A cluster can't outlive its owner: a small shell process supervises the JVMs,
// and when the owner closes the cluster or dies in any way, kill -9 included,
// it kills them and removes the directory.
//
// Nothing in this package is part of what rocketkit's users import. Linux and
// macOS only.
package testcluster
