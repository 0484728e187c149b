package send

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
	"github.com/rocketkit/rocketkit/internal/remoting"
	"github.com/rocketkit/rocketkit/internal/route"
)

func TestVerdicts(t *testing.T) {
	t.Parallel()
	answer := func(code int32, remark string) error {
		return fmt.Errorf("wrapped: %w", &protocol.Error{Code: code, Remark: remark})
	}
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{answer(protocol.CodeSystemError, "in-sync replicas not enough"), busy},
		{answer(protocol.CodeSystemError, "java.lang.RuntimeException: message body size exceeded, a.b.C"), refused},
		{answer(protocol.CodeSystemBusy, ""), busy},
		{answer(protocol.CodeFlowControl, ""), busy},
		{answer(protocol.CodeServiceNotAvailable, ""), down},
		{answer(protocol.CodeNotLeaderForQueue, ""), down},
		{answer(protocol.CodeGoAway, ""), down},
		{answer(protocol.CodeTopicNotExist, ""), missing},
		{answer(protocol.CodeInvalidParameter, ""), moved},
		{answer(protocol.CodeNoPermission, ""), denied},
		{answer(protocol.CodeMessageIllegal, ""), refused},
		{answer(protocol.CodeRequestNotSupported, ""), refused},
		{answer(protocol.CodeNoBuyerID, ""), refused},
		{answer(protocol.CodeNotInCurrentUnit, ""), refused},
		{answer(9999, ""), refused},
		{&remoting.Error{Op: "dial", Err: io.EOF}, down},
		{&remoting.Error{Op: "read", Err: frame.ErrMalformed}, down},
		{fmt.Errorf("no name server answers: %w", errors.Join(&remoting.Error{Err: io.EOF})), down},
		{errNoMaster, down},
		{errNoQueue, down},
		{fmt.Errorf("wrapped: %w", remoting.ErrClosed), refused},
		{frame.ErrTooLarge, refused},
		{route.ErrNoRoute, refused},
		{protocol.ErrMalformed, refused},
	} {
		if got := verdictOf(c.err); got != c.want {
			t.Errorf("verdictOf(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}
