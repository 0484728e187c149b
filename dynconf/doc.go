// Package dynconf keeps settings that change while a program runs: one versioned document for each consumer group of a
// tenant, and the sources it comes from.
//
// The default source is the key-value table of RocketMQ's name servers. It has no watch, no replication and no access
// control, so this package has rules of its own: a document replaces another only with a higher revision, is applied whole
// or not at all, and may be signed. What can't be read, isn't valid or is older changes nothing, and shows in [Status].
//
// What a document's settings mean is its reader's business: package consumer has the schema of consumers. Programs that
// write documents use package admin, or the command rocketkit.
package dynconf
