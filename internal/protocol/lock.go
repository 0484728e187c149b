package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// LockQueues is request 41 (LOCK_BATCH_MQ): a member takes queues for itself, or renews its hold. A lock lives 60 s and
// keeps nobody from pulling; it only answers who may. Answered by [ParseLockQueues].
type LockQueues struct {
	Group    string  `json:"consumerGroup"`
	ClientID string  `json:"clientId"`
	Queues   []Queue `json:"mqSet,omitempty"`
}

// Frame gives the request; its body is RocketMQ's LockBatchRequestBody.
func (r LockQueues) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqLockQueues, Body: encodeBody(r)}
}

// ParseLockQueues reads the answer to a [LockQueues]: those of the queues that the member now holds.
func ParseLockQueues(f *frame.Frame) ([]Queue, error) {
	var body struct {
		Queues []Queue `json:"lockOKMQSet"`
	}
	err := decodeAnswer(ReqLockQueues, f, &body)
	return body.Queues, err
}

// UnlockQueues is request 42 (UNLOCK_BATCH_MQ): a member gives queues back. The answer is judged by [Check] alone.
type UnlockQueues struct {
	Group    string  `json:"consumerGroup"`
	ClientID string  `json:"clientId"`
	Queues   []Queue `json:"mqSet,omitempty"`
}

// Frame gives the request; its body is RocketMQ's UnlockBatchRequestBody.
func (r UnlockQueues) Frame() *frame.Frame {
	return &frame.Frame{Code: ReqUnlockQueues, Body: encodeBody(r)}
}
