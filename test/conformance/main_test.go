package conformance

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

// rocketmq is the real cluster that the tests share.
var rocketmq = testcluster.Suite{Config: testcluster.Config{
	BrokerProperties: map[string]string{
		"traceTopicEnable":    "true", // creates RMQ_SYS_TRACE_TOPIC
		"recallMessageEnable": "true",

		"transactionCheckInterval": "5000", // in place of half a minute, before 5.0 a whole one
	},
}}

func TestMain(m *testing.M) {
	child := serve
	switch {
	case os.Getenv(transactVariable) != "":
		child = transact
	case os.Getenv(childVariable) == "":
		child = nil
	}
	if child != nil {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	rocketmq.Main(m, goleak.IgnoreCurrent()) // client-go starts a goroutine when it is linked
}
