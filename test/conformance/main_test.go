package conformance

import (
	"fmt"
	"os"
	"testing"

	"github.com/rocketkit/rocketkit/internal/testcluster"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testcluster.Main(m, testcluster.Config{})
}
