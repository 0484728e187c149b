package telemetry

import (
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/propagation"

	"github.com/rocketkit/rocketkit"
	"github.com/rocketkit/rocketkit/internal/hook"
)

// added is what a propagator puts into a message that is being sent.
type added []hook.Property

func (a *added) Get(key string) string {
	for _, p := range *a {
		if p.Name == key {
			return p.Value
		}
	}
	return ""
}

// Set takes what a property can hold. Propagators may be anybody's.
func (a *added) Set(key, value string) {
	if key == "" || value == "" || !utf8.ValidString(key+value) || strings.ContainsAny(key+value, "\x01\x02") {
		return
	}
	*a = append(*a, hook.Property{Name: key, Value: value})
}

func (a *added) Keys() []string {
	keys := make([]string, len(*a))
	for i, p := range *a {
		keys[i] = p.Name
	}
	return keys
}

// received is the properties of a message that came.
type received rocketkit.Message

func (r *received) Get(key string) string {
	value, _ := (*rocketkit.Message)(r).Property(key)
	return value
}

// Set does nothing: a received message doesn't change.
func (r *received) Set(string, string) {}

func (r *received) Keys() (keys []string) {
	for name := range (*rocketkit.Message)(r).Properties() {
		keys = append(keys, name)
	}
	return keys
}

// owns tells whether the caller has given the message a context of his own.
func owns(m *hook.Outgoing, p propagation.TextMapPropagator) bool {
	if len(m.Own) == 0 {
		return false
	}
	for _, field := range p.Fields() {
		if _, ok := m.Own[field]; ok {
			return true
		}
	}
	return false
}
