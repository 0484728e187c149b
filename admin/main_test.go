package admin_test

import (
	"testing"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// rocketmq has what this package is for: more than one of everything.
var rocketmq = testcluster.Suite{Config: testcluster.Config{NameServers: 2, Brokers: 2}}

func TestMain(m *testing.M) { rocketmq.Main(m) }
