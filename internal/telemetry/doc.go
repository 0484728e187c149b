// Package telemetry measures and traces what producers and consumers do, with OpenTelemetry's API alone: which SDK takes
// it, if any, is the program's choice. Names and attributes are those of OpenTelemetry's semantic conventions for messaging
// (1.43.0); what these lack begins with "rocketkit.". docs/observability.md lists all of it.
//
// Without an SDK it is off, and a message costs it a few loads of atomic values. An SDK that is installed later switches it on.
//
// Metrics have the topic, the group and the tenant as attributes, by their logical names, the kind of an operation and the
// kind of its failure: nothing that grows with the number of messages.
package telemetry

// scope names who measures; schema the version of the conventions.
const (
	scope  = "github.com/rocketkit/rocketkit"
	schema = "https://opentelemetry.io/schemas/1.43.0"
)
