package protocol

import (
	"strings"
	"testing"
)

// TestDenialsSayWhatToGrant: the remarks are those of a real broker 5.5.0.
func TestDenialsSayWhatToGrant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		request, code int32
		remark, says  string // empty: no advice
	}{
		{ReqSendMessageV2, CodeNoPermission, "username cannot be null.", "was not signed"},
		{ReqSendMessageV2, CodeNoPermission, "check signature failed.", "secret key"},
		{ReqSendMessageV2, CodeNoPermission, "User:x is not found.", "no such user on this broker"},
		{ReqSendMessageV2, CodeNoPermission, "User:x is disabled.", "enable the user"},
		{ReqSendMessageV2, CodeNoPermission, "User:x has no permission to access Topic:orders from 10.0.0.1, no matched policies.", "grant Pub on Topic:orders ("},
		{ReqRecall, CodeNoPermission, "User:x has no permission to access Topic:orders from 10.0.0.1, no matched policies.", "grant Pub on Topic:orders ("},
		{ReqPullMessage, CodeNoPermission, "User:x has no permission to access Group:billing from 10.0.0.1, no matched policies.", "grant Sub on Group:billing ("},
		{ReqMaxOffset, CodeNoPermission, "User:x has no permission to access Topic:orders from 10.0.0.1, the decision is deny.", "grant Get on Topic:orders, which a rule denies"},
		{ReqResetOffset, CodeNoPermission, "User:x has no permission to access Topic:orders from 10.0.0.1, no matched policies.", "grant Update on"},
		{ReqCreateTopic, CodeNoPermission, "User:x has no permission to access Topic:orders from 10.0.0.1, no matched policies.", "grant Create on"},
		{ReqSendMessageV2, CodeNoPermission, "the broker[10.0.0.1] sending message is forbidden", ""},
		{ReqSendMessageV2, CodeSystemError, "store putMessage return null", ""},
		{ReqSendMessageV2, CodeTopicNotExist, "User:x is not found.", ""},
	} {
		err := &Error{Request: test.request, Code: test.code, Remark: test.remark}
		if got := err.Error(); !strings.Contains(got, test.remark) || !strings.Contains(got, test.says) || (test.says == "") == strings.HasSuffix(got, "]") {
			t.Errorf("%s\ndoesn't say %q", got, test.says)
		}
	}
}
