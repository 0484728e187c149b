package tenant_test

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/rocketkit/rocketkit/tenant"
)

// namespaceUtil is what RocketMQ's own NamespaceUtil printed; testdata/Wrapped.java is the program.
//
//go:embed testdata/namespaceutil-5.5.0.tsv
var namespaceUtil string

// Every name is either refused, for a reason that is checked here, or becomes what Java makes of it.
func TestPhysicalNamesAreNamespaceUtils(t *testing.T) {
	t.Parallel()
	rows := strings.Split(strings.TrimSuffix(namespaceUtil, "\n"), "\n")
	if len(rows) != 200 {
		t.Fatalf("testdata holds %d rows, want 200", len(rows))
	}
	for _, row := range rows {
		col := strings.Split(row, "\t")
		namespace, name, wrapped, retry := col[0], col[1], col[2], col[3]
		names := newNames(t, namespace)
		if strings.HasPrefix(name, "%") {
			physical, err := names.Resource(name)
			compare(t, names, name, physical, err, wrapped, name == "%RETRY%rmq_sys_x")
			continue
		}
		physical, err := names.Topic(name)
		compare(t, names, name, physical, err, wrapped, strings.HasPrefix(name, "CID_RMQ_SYS_"))
		physical, err = names.Group(name)
		compare(t, names, name, physical, err, wrapped, tenant.IsSystemTopic(name))
		physical, err = names.Retry(name)
		compare(t, names, name, physical, err, retry, tenant.IsSystemTopic(name))
	}
}

func compare(t *testing.T, names tenant.Names, name, got string, err error, want string, refused bool) {
	t.Helper()
	switch {
	case refused && err == nil:
		t.Errorf("tenant %q: %q became %q, want an error", names.Tenant(), name, got)
	case !refused && err != nil:
		t.Errorf("tenant %q: %q: %v, want %q", names.Tenant(), name, err, want)
	case !refused && got != want:
		t.Errorf("tenant %q: %q became %q, want NamespaceUtil's %q", names.Tenant(), name, got, want)
	}
}

func newNames(t *testing.T, name string) tenant.Names {
	t.Helper()
	names, err := tenant.New(name)
	if err != nil {
		t.Fatal(err)
	}
	return names
}
