package mqtest

import (
	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

func (b *broker) prepare(m protocol.Message, props properties) (*record, *frame.Frame) { panic("todo") }
func (b *broker) planCheck()                                                           {}
