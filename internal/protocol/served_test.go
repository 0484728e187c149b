package protocol

import (
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
)

func TestAWrittenMaxReconsumeTimesCounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fields  frame.Fields // one at most
		most    int32
		limited bool
	}{
		{},
		{fieldsOf("maxReconsumeTimes", "-1"), -1, true},
		{fieldsOf("maxReconsumeTimes", "0"), 0, true},
		{fieldsOf("maxReconsumeTimes", "3"), 3, true},
	} {
		back := SendBack{Group: "g"}.Frame()
		back.Fields = append(back.Fields, test.fields...)
		if got, limited, err := ParseSendBack(back); err != nil || got.MaxReconsumeTimes != test.most || limited != test.limited {
			t.Errorf("send-back with %v: %d %t %v", test.fields, got.MaxReconsumeTimes, limited, err)
		}
		send := SendMessage{Topic: "t"}.Frame()
		for _, f := range test.fields {
			send.Fields = append(send.Fields, frame.Field{Key: "l", Value: f.Value})
		}
		if got, limited, err := ParseSendRequest(send); err != nil || got.MaxReconsumeTimes != test.most || limited != test.limited {
			t.Errorf("send with %v: %d %t %v", test.fields, got.MaxReconsumeTimes, limited, err)
		}
	}
}
