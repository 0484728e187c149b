package remoting

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the algorithm that brokers check (AclSigner, HmacSHA1); as a MAC it isn't broken
	"encoding/base64"
	"hash"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// The header fields of a signed request (SessionCredentials).
const (
	fieldAccessKey = "AccessKey"
	fieldToken     = "SecurityToken"
	fieldSignature = "Signature"
)

// Signer adds to a request that goes out what tells servers who sends it. It may change req, whose Fields it replaces
// rather than changes. It may wait under ctx, and what it fails with is the call's error. Safe for concurrent use.
type Signer interface {
	Sign(ctx context.Context, req *frame.Frame) error
}

// Caller sends requests over its Client's connections, signed by somebody else than the Client's own Signer.
type Caller struct {
	client *Client
	signer Signer
}

// As returns a Caller whose requests s signs; a nil s signs nothing.
func (c *Client) As(s Signer) Caller { return Caller{c, s} }

// Key signs requests with one access key, as AclClientRPCHook does. Safe for concurrent use.
type Key struct {
	access, token string
	macs          sync.Pool // hash.Hash, with the secret
}

// NewKey makes a Key. The token may be empty.
func NewKey(access, secret, token string) *Key {
	return &Key{access: access, token: token, macs: sync.Pool{
		New: func() any { return hmac.New(sha1.New, []byte(secret)) },
	}}
}

// Sign adds the access key, the token and the signature, which is taken over the values of all fields in the order of
// their keys (the token's included) and the body. Fields come out in that order.
func (k *Key) Sign(req *frame.Frame) {
	fields := make(frame.Fields, 0, len(req.Fields)+3)
	for _, f := range req.Fields {
		if f.Key == fieldAccessKey || f.Key == fieldToken || f.Key == fieldSignature {
			continue // of an earlier signer
		}
		if !utf8.ValidString(f.Value) { // goes out repaired, so it must be signed repaired
			f.Value = strings.ToValidUTF8(f.Value, "\uFFFD")
		}
		fields = append(fields, f)
	}
	fields = append(fields, frame.Field{Key: fieldAccessKey, Value: k.access})
	if k.token != "" {
		fields = append(fields, frame.Field{Key: fieldToken, Value: k.token})
	}
	slices.SortStableFunc(fields, func(a, b frame.Field) int { return strings.Compare(a.Key, b.Key) })

	mac := k.macs.Get().(hash.Hash) //nolint:errcheck // the pool holds nothing else
	mac.Reset()
	var buffer [512]byte
	text := buffer[:0]
	for i := range fields {
		if i+1 < len(fields) && fields[i+1].Key == fields[i].Key {
			continue // servers keep the last
		}
		text = append(text, fields[i].Value...)
	}
	mac.Write(text)
	mac.Write(req.Body)
	signature := base64.StdEncoding.EncodeToString(mac.Sum(text[:0]))
	k.macs.Put(mac)
	req.Fields = append(fields, frame.Field{Key: fieldSignature, Value: signature})
}
