package protocol

import "github.com/rocketkit/rocketkit/internal/frame"

// PutKV is request 100 (PUT_KV_CONFIG) of one name server; name servers don't tell each other.
// The answer is judged by [Check] alone.
type PutKV struct{ Namespace, Key, Value string }

// Frame gives the request in the fields of PutKVConfigRequestHeader.
func (r PutKV) Frame() *frame.Frame {
	h := keyed(r.Namespace, r.Key)
	h.text("value", r.Value)
	return h.frame(ReqPutKV, nil)
}

// GetKV is request 101 (GET_KV_CONFIG). Answered by [ParseGetKV].
type GetKV struct{ Namespace, Key string }

// Frame gives the request in the fields of GetKVConfigRequestHeader.
func (r GetKV) Frame() *frame.Frame {
	h := keyed(r.Namespace, r.Key)
	return h.frame(ReqGetKV, nil)
}

// ParseGetKV reads the answer to a [GetKV]; found is false when there is no such key.
func ParseGetKV(f *frame.Frame) (value string, found bool, err error) {
	if f.Code == CodeQueryNotFound {
		return "", false, nil
	}
	if err := Check(ReqGetKV, f); err != nil {
		return "", false, err
	}
	value, found = f.Fields.Get("value")
	return value, found, nil
}

// DeleteKV is request 102 (DELETE_KV_CONFIG), which succeeds without such a key too. The answer is judged by [Check] alone.
type DeleteKV struct{ Namespace, Key string }

// Frame gives the request in the fields of DeleteKVConfigRequestHeader.
func (r DeleteKV) Frame() *frame.Frame {
	h := keyed(r.Namespace, r.Key)
	return h.frame(ReqDeleteKV, nil)
}

// ListKV is request 219 (GET_KVLIST_BY_NAMESPACE). Answered by [ParseListKV].
type ListKV struct{ Namespace string }

// Frame gives the request in the fields of GetKVListByNamespaceRequestHeader.
func (r ListKV) Frame() *frame.Frame {
	h := newHeader(1)
	h.text("namespace", r.Namespace)
	return h.frame(ReqListKV, nil)
}

// ParseListKV reads the answer to a [ListKV]: all keys of the namespace; none, not an error, when there never was one.
func ParseListKV(f *frame.Frame) (map[string]string, error) {
	if f.Code == CodeQueryNotFound {
		return nil, nil
	}
	return parseKVTable(ReqListKV, f)
}

// BrokerRuntimeInfo is request 28 (GET_BROKER_RUNTIME_INFO). Answered by [ParseBrokerRuntimeInfo]. It is sent by tools,
// and here by tests.
type BrokerRuntimeInfo struct{}

// Frame gives the request.
func (BrokerRuntimeInfo) Frame() *frame.Frame { return &frame.Frame{Code: ReqBrokerRuntimeInfo} }

// ParseBrokerRuntimeInfo reads the answer to a [BrokerRuntimeInfo]: what mqadmin brokerStatus prints.
func ParseBrokerRuntimeInfo(f *frame.Frame) (map[string]string, error) {
	return parseKVTable(ReqBrokerRuntimeInfo, f)
}

func parseKVTable(request int32, f *frame.Frame) (map[string]string, error) {
	var body struct {
		Table map[string]string `json:"table"`
	}
	err := decodeAnswer(request, f, &body)
	return body.Table, err
}

func keyed(namespace, key string) header {
	h := newHeader(3)
	h.text("namespace", namespace)
	h.text("key", key)
	return h
}
