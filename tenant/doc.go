// Package tenant turns the names a program uses into the names a broker stores, and back.
//
// Tenants share one RocketMQ cluster and use the same names. What keeps them apart is a prefix that only
// the cluster sees:
//
//	logical            physical, tenant "red"
//	orders             red%orders
//	billing (group)    red%billing
//	%RETRY%billing     %RETRY%red%billing
//	%DLQ%billing       %DLQ%red%billing
//	TBW102             TBW102
//
// For every name this package accepts, the physical name is the one Java's NamespaceUtil makes, so that Java
// clients with a namespace, mqadmin and ACL prefixes ("Topic:red%*") mean the same things. NamespaceUtil takes
// almost any string, though, and names such as "blue%orders" or "%RETRY%%DLQ%x" let one tenant reach into another.
// Here they are errors, with a tenant and without one.
//
// Prefixes protect tenants from each other's mistakes. Against a hostile tenant a cluster needs ACLs, and
// the topics that RocketMQ keeps for itself ([IsSystemTopic]) are shared by all tenants in any case.
package tenant
