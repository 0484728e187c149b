package wire

import (
	"testing"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// rocketmq is the real cluster that the scripts share.
var rocketmq = testcluster.Suite{Config: testcluster.Config{BrokerProperties: map[string]string{
	"transactionCheckInterval":   "2000",
	"transactionTimeOut":         "1000",
	"transactionOpBatchInterval": "100", // or what is settled is asked for all the same
	"recallMessageEnable":        "true",
}}}

func TestMain(m *testing.M) { rocketmq.Main(m) }
