package tenant_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rocketkit/rocketkit/tenant"
)

// The generators are functions because rapid's may not be shared by parallel tests.

func tenants() *rapid.Generator[string] {
	return rapid.OneOf(rapid.Just(""), rapid.SampledFrom([]string{"t", "tt", "t-t", "retry", "dlq"}),
		rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,31}`).Filter(func(s string) bool {
			_, err := tenant.New(s)
			return err == nil
		}))
}

func legal() *rapid.Generator[string] { return rapid.StringMatching(`[a-zA-Z0-9_-]{1,87}`) }

// wild favors the pieces that names are made of, in every wrong order.
func wild() *rapid.Generator[string] {
	pieces := []string{"%", "%RETRY%", "%DLQ%", "t", "tt", "t%", "tt%", "rmq_sys_", "CID_RMQ_SYS_", "TBW102", "g", "+", "\x00"}
	return rapid.Map(rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(pieces), legal(), rapid.String()), 0, 5),
		func(parts []string) string { return strings.Join(parts, "") })
}

// Whatever name a tenant is made to use, it leads back to that name, and for another tenant to nothing.
func TestTenantsNeverCross(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mine, theirs := draw(t, "mine"), draw(t, "theirs")
		name := rapid.OneOf(legal(), wild()).Draw(t, "name")
		kinds := map[string]struct {
			forward func(string) (string, error)
			logical string
			mine    func(string) (string, bool)
			theirs  func(string) (string, bool)
		}{
			"topic":       {mine.Topic, name, mine.LogicalTopic, theirs.LogicalTopic},
			"group":       {mine.Group, name, mine.LogicalGroup, theirs.LogicalGroup},
			"retry":       {mine.Retry, "%RETRY%" + name, mine.LogicalTopic, theirs.LogicalTopic},
			"dead letter": {mine.DeadLetter, "%DLQ%" + name, mine.LogicalTopic, theirs.LogicalTopic},
			"resource":    {mine.Resource, name, mine.LogicalTopic, theirs.LogicalTopic},
		}
		for kind, k := range kinds {
			physical, err := k.forward(name)
			if err != nil {
				continue
			}
			if back, ok := k.mine(physical); !ok || back != k.logical {
				t.Fatalf("%s %q is %q and leads back to %q, %t", kind, name, physical, back, ok)
			}
			// What RocketMQ keeps for itself is everybody's, and only that: it is what passes without a change.
			shared := tenant.IsSystemTopic(name) || strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(name, "%RETRY%"), "%DLQ%"), "CID_RMQ_SYS_")
			if back, ok := k.theirs(physical); ok && mine != theirs && !shared {
				t.Fatalf("%s %q of %q is %q, which is %q to %q", kind, name, mine.Tenant(), physical, back, theirs.Tenant())
			}
		}
	})
}

// Whatever is found on a broker, it either isn't the tenant's or is the physical name of its logical one.
func TestBackIsTheInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names := draw(t, "tenant")
		physical := rapid.OneOf(wild(), rapid.Map(wild(), func(s string) string { return names.Tenant() + "%" + s })).Draw(t, "physical")
		if logical, ok := names.LogicalTopic(physical); ok {
			if again, err := names.Resource(logical); err != nil || again != physical {
				t.Fatalf("%q leads to %q and that to %q, %v", physical, logical, again, err)
			}
		}
		if logical, ok := names.LogicalGroup(physical); ok {
			if again, err := names.Group(logical); err != nil || again != physical {
				t.Fatalf("group %q leads to %q and that to %q, %v", physical, logical, again, err)
			}
		}
	})
}

// Any name made of ordinary characters that isn't RocketMQ's own is accepted, so the properties above aren't about nothing.
func TestLegalNamesAreAccepted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		names, name := draw(t, "tenant"), legal().Filter(func(s string) bool {
			return !tenant.IsSystemTopic(s) && !strings.HasPrefix(s, "CID_RMQ_SYS_")
		}).Draw(t, "name")
		for _, of := range []func(string) (string, error){names.Topic, names.Group, names.Retry, names.DeadLetter, names.Resource} {
			if _, err := of(name); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func draw(t *rapid.T, label string) tenant.Names {
	names, err := tenant.New(tenants().Draw(t, label))
	if err != nil {
		t.Fatal(err)
	}
	return names
}
