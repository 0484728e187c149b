package admin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/protocol"
)

// orderNamespace is NamesrvUtil.NAMESPACE_ORDER_TOPIC_CONFIG.
const orderNamespace = "ORDER_TOPIC_CONFIG"

// KV is one namespace of the key-value table that name servers keep for whoever asks. It suits small documents that
// change rarely: values are written to a file and to the name servers' logs, so no secrets, and at most some KB.
//
// Name servers don't tell each other, nor do they check who asks. So writes go to all of them, and the table has no
// tenants: namespace and key are on the wire as they are given, and whoever serves several tenants puts the tenant in the
// key. A KV is a value, safe for concurrent use; its zero value is not usable.
type KV struct {
	admin     *Admin
	namespace string
	only      string // the one name server meant; empty means any to read from, all to write to
}

// KV returns a namespace of the name servers' table; nothing is sent. ORDER_TOPIC_CONFIG, whose entries brokers act on,
// is refused by every method.
func (a *Admin) KV(namespace string) KV { return KV{admin: a, namespace: namespace} }

// At returns the same namespace on one name server alone, to compare what they hold and to repair one. The address is
// one of NameServers, as it stands there.
func (kv KV) At(nameServer string) KV {
	kv.only = nameServer
	return kv
}

// Get reads a key from a name server that answers, or the one that At names. One that missed a write may answer
// otherwise than the others.
func (kv KV) Get(ctx context.Context, key string) (value string, found bool, err error) {
	op := kv.op("get", key)
	if err := kv.check(ctx, op, key); err != nil {
		return "", false, err
	}
	answer, err := kv.ask(ctx, protocol.GetKV{Namespace: kv.namespace, Key: key}.Frame())
	if err == nil {
		value, found, err = protocol.ParseGetKV(answer)
	}
	if err != nil {
		return "", false, failed(op, err)
	}
	return value, found, nil
}

// List reads every key of the namespace from a name server that answers, or the one that At names. A namespace that
// doesn't exist has no keys.
func (kv KV) List(ctx context.Context) (map[string]string, error) {
	op := "list kv " + shown(kv.namespace)
	if err := kv.checkPlace(ctx, op); err != nil {
		return nil, err
	}
	answer, err := kv.ask(ctx, protocol.ListKV{Namespace: kv.namespace}.Frame())
	var table map[string]string
	if err == nil {
		table, err = protocol.ParseListKV(answer)
	}
	if err != nil {
		return nil, failed(op, err)
	}
	if table == nil {
		table = map[string]string{}
	}
	return table, nil
}

// Put writes a key on every name server, or on the one that At names. The [*PartialError] of a write that some missed
// names them; they go on serving the old value until it is written again.
func (kv KV) Put(ctx context.Context, key, value string) error {
	return kv.write(ctx, "put", key, protocol.PutKV{Namespace: kv.namespace, Key: key, Value: value}.Frame())
}

// Delete removes a key on every name server, or on the one that At names; one that isn't there counts as removed. The
// [*PartialError] of a removal that some missed names them; they go on serving the value.
func (kv KV) Delete(ctx context.Context, key string) error {
	return kv.write(ctx, "delete", key, protocol.DeleteKV{Namespace: kv.namespace, Key: key}.Frame())
}

func (kv KV) ask(ctx context.Context, req *frame.Frame) (*frame.Frame, error) {
	if kv.only == "" {
		return kv.admin.view.Ask(ctx, req)
	}
	answer, err := kv.admin.ask(ctx, nameServer(kv.only), req)
	if protocol.HasCode(err, protocol.CodeQueryNotFound) {
		err = nil
	}
	return answer, err
}

func (kv KV) write(ctx context.Context, verb, key string, req *frame.Frame) error {
	op := kv.op(verb, key)
	if err := kv.check(ctx, op, key); err != nil {
		return err
	}
	servers := kv.admin.nameServers(ctx)
	if kv.only != "" {
		servers = []server{nameServer(kv.only)}
	}
	t := &tally{op: op}
	kv.admin.tell(ctx, t, servers, func(ctx context.Context, s server) error {
		_, err := kv.admin.ask(ctx, s, req)
		return err
	})
	return t.err()
}

func (kv KV) op(verb, key string) string {
	return fmt.Sprintf("%s kv %s/%s", verb, shown(kv.namespace), shown(key))
}

func (kv KV) check(ctx context.Context, op, key string) error {
	if key == "" {
		return invalid(op, "key", errors.New("is empty"))
	}
	return kv.checkPlace(ctx, op)
}

func (kv KV) checkPlace(ctx context.Context, op string) error {
	switch {
	case kv.namespace == "":
		return invalid(op, "namespace", errors.New("is empty"))
	case kv.namespace == orderNamespace:
		return invalid(op, "namespace", errors.New("name servers hand its entries to brokers, which make the topics in it ordered ones: "+
			"choose another"))
	case kv.only == "":
		return nil
	}
	servers, err := kv.admin.view.AwaitNameServers(ctx)
	if err != nil {
		return failed(op, err)
	}
	if !slices.Contains(servers, kv.only) {
		return invalid(op, "name server", fmt.Errorf("%s is none of the client's: %s", shown(kv.only), strings.Join(servers, ", ")))
	}
	return nil
}
