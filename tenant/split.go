package tenant

import "strings"

// Split takes a physical topic or group apart, for those who work for all tenants at once, such as a shared log:
// "red%orders" is "red" and "orders", "%RETRY%red%billing" is "red" and "%RETRY%billing", and what bears no tenant has
// an empty one.
func Split(physical string) (tenant, logical string) {
	prefix, rest := cutDerived(physical)
	tenant, name, found := strings.Cut(rest, separator)
	if !found {
		return "", physical
	}
	return tenant, prefix + name
}
