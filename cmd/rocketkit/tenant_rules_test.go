package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/admin"
)

func TestCompare(t *testing.T) {
	t.Parallel()
	want := []admin.AccessRule{{Resource: "Topic:red%*", Actions: []string{"Pub", "Sub"}}, {Resource: "Group:red%*", Actions: []string{"Sub"}}}
	have := []admin.UserAccess{
		{Broker: "a", Exists: true, Rules: []admin.AccessRule{want[1], {Resource: "Topic:red%*", Actions: []string{"Sub", "Pub"}}}},
		{Broker: "b"},
		{Broker: "c", Exists: true, Rules: []admin.AccessRule{
			{Resource: "Topic:red%*", Actions: []string{"Pub", "Sub"}, Deny: true}, want[1], {Resource: "Topic:old", Actions: []string{"Pub"}, SourceIPs: []string{"::1"}},
		}},
	}
	for _, test := range []struct {
		prune bool
		rows  []string
	}{
		{false, []string{"b create User:red ", "b add Topic:red%* Pub,Sub", "b add Group:red%* Sub",
			"c replace Topic:red%* Pub,Sub, was deny Pub,Sub", "c keep Topic:old Pub from ::1"}},
		{true, []string{"b create User:red ", "b add Topic:red%* Pub,Sub", "b add Group:red%* Sub",
			"c replace Topic:red%* Pub,Sub, was deny Pub,Sub", "c remove Topic:old Pub from ::1"}},
	} {
		a := &tenantACL{access: access{Tenant: "red", User: "red"}, prune: test.prune}
		got, err := a.compare(have, want)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		for _, row := range got.rows {
			rows = append(rows, strings.Join(row, " "))
		}
		if !reflect.DeepEqual(rows, test.rows) || !got.create || !got.any || !reflect.DeepEqual(got.brokers, []string{"b", "c"}) {
			t.Errorf("%+v", got)
		}
		if (len(got.revoke) > 0) != test.prune {
			t.Errorf("revokes %v", got.revoke)
		}
	}
	a := &tenantACL{access: access{Tenant: "red", User: "red"}}
	if got, err := a.compare(have[:1], want); err != nil || got.any || len(got.rows) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := a.compare([]admin.UserAccess{{Broker: "a", Exists: true, Super: true}}, want); err == nil || !strings.Contains(err.Error(), "super user on a") {
		t.Error(err)
	}
}
