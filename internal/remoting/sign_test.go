package remoting_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"

	"github.com/rocketkit/rocketkit/internal/frame"
	"github.com/rocketkit/rocketkit/internal/remoting"
)

// signatureOf is AclSigner's over a text that the test has put together by hand.
func signatureOf(secret, text string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestSignature(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token  string
		fields frame.Fields
		body   string
		signed string
	}{
		"fields and body":   {fields: frame.Fields{{Key: "topic", Value: "orders"}, {Key: "queueId", Value: "3"}}, body: "body", signed: "AK" + "3" + "orders" + "body"},
		"short fields":      {fields: frame.Fields{{Key: "b", Value: "orders"}, {Key: "a", Value: "group"}}, signed: "AK" + "group" + "orders"},
		"token":             {token: "TOKEN", fields: frame.Fields{{Key: "Zone", Value: "z"}, {Key: "Room", Value: "r"}, {Key: "a", Value: "1"}}, signed: "AK" + "r" + "TOKEN" + "z" + "1"},
		"no fields":         {body: "body", signed: "AKbody"},
		"signed before":     {fields: frame.Fields{{Key: "AccessKey", Value: "old"}, {Key: "Signature", Value: "old"}, {Key: "SecurityToken", Value: "old"}, {Key: "a", Value: "1"}}, signed: "AK1"},
		"a key twice":       {fields: frame.Fields{{Key: "a", Value: "first"}, {Key: "a", Value: "last"}}, signed: "AKlast"},
		"bytes out of UTF8": {fields: frame.Fields{{Key: "a", Value: "x\xffy"}}, signed: "AKx\uFFFDy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := remoting.NewKey("AK", "secret", test.token)
			before := append(frame.Fields(nil), test.fields...)
			for range 2 { // the second with a MAC out of the pool
				req := &frame.Frame{Fields: test.fields, Body: []byte(test.body)}
				key.Sign(req)
				got, _ := req.Fields.Get("Signature")
				if want := signatureOf("secret", test.signed); got != want {
					t.Errorf("%v has the signature %s, not %s", req.Fields, got, want)
				}
				if token, has := req.Fields.Get("SecurityToken"); token != test.token || has != (test.token != "") {
					t.Errorf("token %q", token)
				}
			}
			if !reflect.DeepEqual(test.fields, before) {
				t.Errorf("the caller's fields were changed: %v", test.fields)
			}
		})
	}
}

// signer puts its name into requests.
type signer string

func (s signer) Sign(_ context.Context, req *frame.Frame) error {
	if s == "" {
		return errors.New("no key")
	}
	req.Fields = append(append(frame.Fields(nil), req.Fields...), frame.Field{Key: "by", Value: string(s)})
	return nil
}

// TestEveryRequestIsSigned: calls and one-way requests, by the Client's signer or by the Caller's.
func TestEveryRequestIsSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan *frame.Frame, 1)
		n := &network{serve: func(s *session) {
			for req := s.next(); req != nil; req = s.next() {
				if !req.IsOneWay() {
					s.answer(req)
				}
				got <- req
			}
		}}
		c := open(t, n, remoting.Config{Sign: signer("all")})
		req := &frame.Frame{Code: 1}
		for _, send := range []struct {
			by string
			do func() error
		}{
			{"all", func() error { _, err := c.Call(t.Context(), "x:1", req); return err }},
			{"all", func() error { return c.Send(t.Context(), "x:1", req) }},
			{"one", func() error { _, err := c.As(signer("one")).Call(t.Context(), "x:1", req); return err }},
			{"one", func() error { return c.As(signer("one")).Send(t.Context(), "x:1", req) }},
		} {
			if err := send.do(); err != nil {
				t.Fatal(err)
			}
			if by, _ := (<-got).Fields.Get("by"); by != send.by {
				t.Errorf("signed by %q, not %q", by, send.by)
			}
		}
		if req.Fields != nil {
			t.Errorf("the caller's request was changed: %v", req.Fields)
		}
		if _, err := c.As(signer("")).Call(t.Context(), "x:1", req); err == nil || err.Error() != "no key" {
			t.Errorf("a signer that fails: %v", err)
		}
	})
}
