package dynconf

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

var billing = ID{Tenant: "red", Group: "billing"}

const spec = `{"topics":{"orders":{"workers":16}}}`

// key makes the same key for the same seed.
func key(seed byte) (ed25519.PublicKey, ed25519.PrivateKey) {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+seed)), ed25519.SeedSize)))
	return private.Public().(ed25519.PublicKey), private
}

// written encodes a document of billing, or ends the test.
func written(t testing.TB, d Document, private ed25519.PrivateKey) string {
	t.Helper()
	text, err := d.Encode(billing, private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// dated is a document with the time as its revision.
func dated(at time.Time, spec string) Document {
	return Document{Rev: at.UnixMilli(), At: at.Truncate(time.Millisecond), By: "ann", Spec: json.RawMessage(spec)}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	public, private := key(0)
	other, _ := key(1)
	full := dated(now, spec)
	full.Expires = now.Add(time.Hour)
	for name, d := range map[string]Document{
		"all fields":        full,
		"least":             {Rev: 1, Spec: json.RawMessage(`{}`)},
		"deleted":           {Rev: now.UnixMilli(), Deleted: true},
		"HTML characters":   dated(now, `{"a<b>&c":"</script>","\u2028":"\u003c`+"\u2028"+`"}`),
		"names with quotes": {Rev: 5, By: "<ann> \"&\" \n\u2028 \u007f", Spec: json.RawMessage(`{"a":"\"\\\n"}`)},
		"by not in UTF-8":   {Rev: 5, By: "a\xffb", Spec: json.RawMessage(`{}`)},
		"numbers as given":  {Rev: 5, Spec: json.RawMessage(`{"n":1.50e+3,"m":9007199254740993}`)},
		"a key in two ways": {Rev: 5, Spec: json.RawMessage(`{"Orders":1,"orders":2}`)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, signed := range []bool{false, true} {
				want := d
				want.By = strings.ToValidUTF8(d.By, "\uFFFD")
				var text string
				var keys []ed25519.PublicKey
				if signed {
					text, keys, want.Key = written(t, d, private), []ed25519.PublicKey{other, public}, KeyID(public)
				} else {
					text = written(t, d, nil)
				}
				got, err := Decode(billing, text, now, keys...)
				if err != nil {
					t.Fatalf("%v: %s", err, text)
				}
				if len(got.Sum) != 64 {
					t.Errorf("sum %q", got.Sum)
				}
				got.Sum = ""
				if !reflect.DeepEqual(got, want) {
					t.Errorf("\n%+v, want\n%+v", got, want)
				}
			}
		})
	}
}

func TestEncodeRefusesWhatNobodyWouldRead(t *testing.T) {
	t.Parallel()
	_, private := key(0)
	for name, test := range map[string]struct {
		d    Document
		says string
	}{
		"no spec":                   {Document{Rev: 1}, "spec"},
		"a list":                    {Document{Rev: 1, Spec: json.RawMessage(`[]`)}, "no JSON object"},
		"null":                      {Document{Rev: 1, Spec: json.RawMessage(`null`)}, "no JSON object"},
		"no JSON":                   {Document{Rev: 1, Spec: json.RawMessage(`{`)}, "spec"},
		"two objects":               {Document{Rev: 1, Spec: json.RawMessage(`{}{}`)}, "spec"},
		"not UTF-8":                 {Document{Rev: 1, Spec: json.RawMessage("{\"a\":\"\xff\"}")}, "UTF-8"},
		"a key twice":               {Document{Rev: 1, Spec: json.RawMessage(`{"topics":{"a":{"workers":1},"b":[{"c":1,"c":2}]}}`)}, `"c" twice`},
		"no revision":               {Document{Spec: json.RawMessage(`{}`)}, "revision"},
		"a time before all":         {Document{Rev: 1, Spec: json.RawMessage(`{}`), At: time.UnixMilli(-1)}, "written at -1"},
		"a time after all":          {Document{Rev: 1, Spec: json.RawMessage(`{}`), At: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, "no time"},
		"expired before all":        {Document{Rev: 1, Spec: json.RawMessage(`{}`), Expires: time.UnixMilli(-5)}, "expires at -5"},
		"more than it may":          {Document{Rev: 1, Spec: json.RawMessage(`{"a":"` + strings.Repeat("x", MaxWritten) + `"}`)}, "8192 are allowed"},
		"deeper than anyone counts": {Document{Rev: 1, Spec: json.RawMessage(`{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`)}, "depth"},
	} {
		if text, err := test.d.Encode(billing, private); err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "group billing of tenant red") {
			t.Errorf("%s: %.100s, %v", name, text, err)
		}
	}
}

// TestTampering changes each field of a signed document, and of an unsigned one.
func TestTampering(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	public, private := key(0)
	d := dated(now, spec)
	d.Expires = now.Add(time.Hour)
	signed, unsigned := written(t, d, private), written(t, d, nil)
	changes := map[string]any{
		"s": 2, "rev": d.Rev + 1, "at": d.Rev + 1, "exp": d.Rev, "deleted": true, "by": "eve", "spec": map[string]int{"a": 1},
		"sum": strings.Repeat("0", 64), "key": "0123456789abcdef", "sig": strings.Repeat("A", 86) + "==",
	}
	fields := 0
	for i := range reflect.TypeFor[envelope]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[envelope]().Field(i).Tag.Get("json"), ",")
		for _, value := range []any{changes[name], nil} { // nil: without the field
			text := changed(t, signed, name, value)
			if text == signed {
				continue // it has none to be taken away
			}
			fields++
			if got, err := Decode(billing, text, now, public); err == nil {
				t.Errorf("signed, with %s %v: %+v", name, value, got)
			}
			if name == "key" || name == "sig" {
				continue // an unsigned one has none
			}
			if got, err := Decode(billing, changed(t, unsigned, name, value), now); err == nil {
				t.Errorf("unsigned, with %s %v: %+v", name, value, got)
			}
		}
	}
	if fields < 19 {
		t.Errorf("only %d changes were tried", fields)
	}
	// Whoever makes the checksum anew has still no signature.
	var e envelope
	if err := json.Unmarshal([]byte(signed), &e); err != nil {
		t.Fatal(err)
	}
	e.Rev++
	e.Sum = sum(e.signed(billing))
	forged, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, string(forged), now, BadSignature, e.Rev, public)
}

// changed gives a document with one field changed; nil takes it away.
func changed(t *testing.T, text, field string, value any) string {
	t.Helper()
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	if _, has := fields[field]; !has && value == nil {
		return text
	}
	if delete(fields, field); value != nil {
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fields[field] = raw
	}
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// refused checks that a text is, for the reason and with the revision that it claims.
func refused(t *testing.T, text string, now time.Time, want Reason, rev int64, keys ...ed25519.PublicKey) {
	t.Helper()
	d, err := Decode(billing, text, now, keys...)
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Reason != want || refusal.Rev != rev || refusal.Error() == "" {
		t.Errorf("%.120s: %+v, %v (%+v); want %s of rev %d", text, d, err, refusal, want, rev)
	}
	if !reflect.DeepEqual(d, Document{}) {
		t.Errorf("a document beside the error: %+v", d)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	public, private := key(0)
	stranger, strangers := key(1)
	d := dated(now, spec)
	text, signed := written(t, d, nil), written(t, d, private)
	rev := d.Rev

	t.Run("keys", func(t *testing.T) {
		t.Parallel()
		refused(t, text, now, BadSignature, rev, public)                     // unsigned
		refused(t, written(t, d, strangers), now, BadSignature, rev, public) // unknown key
		refused(t, signed, now, BadSignature, rev, stranger)                 // the other way round
		refused(t, signed, now, BadSignature, rev, public[:31])              // no key
		refused(t, changed(t, signed, "sig", "%"), now, BadSignature, rev, public)
		if _, err := Decode(billing, changed(t, signed, "key", KeyID(public[:31])), now, public[:31]); err == nil {
			t.Error("a key of 31 bytes has signed it")
		}
		renamed := changed(t, written(t, d, strangers), "key", KeyID(public))
		refused(t, renamed, now, BadSignature, rev, public) // wrong key under the right name
	})
	t.Run("another group's", func(t *testing.T) {
		t.Parallel()
		for _, id := range []ID{{"", "billing"}, {"blue", "billing"}, {"red", "billing2"}} {
			for _, keys := range [][]ed25519.PublicKey{nil, {public}} {
				if d, err := Decode(id, signed, now, keys...); err == nil {
					t.Errorf("%s takes it: %+v", id, d)
				}
			}
		}
	})
	t.Run("from the future", func(t *testing.T) {
		t.Parallel()
		ahead := dated(now.Add(MaxAhead), spec)
		if _, err := Decode(billing, written(t, ahead, nil), now); err != nil {
			t.Error(err)
		}
		ahead = dated(now.Add(MaxAhead+time.Millisecond), spec)
		refused(t, written(t, ahead, nil), now, FromTheFuture, ahead.Rev)
		refused(t, written(t, Document{Rev: math.MaxInt64, Spec: json.RawMessage(`{}`)}, nil), now, FromTheFuture, math.MaxInt64)
	})
	t.Run("what it is made of", func(t *testing.T) {
		t.Parallel()
		refused(t, strings.Repeat(" ", MaxRead+1), now, TooLarge, 0)
		refused(t, strings.Repeat(" ", 16<<20), now, TooLarge, 0)
		if _, err := Decode(billing, text+strings.Repeat(" ", MaxRead-len(text)), now); err != nil {
			t.Error(err)
		}
		refused(t, changed(t, text, "s", 7), now, UnknownVersion, rev)
		for _, bad := range []string{
			"", " ", "null", "true", "[]", `""`, "{", text[:len(text)-1], text + "x", text + text, text + "\x00", "\ufeff" + text,
			strings.Replace(text, "orders", "ord\xffers", 1), strings.Repeat("[", MaxRead), `{"spec":` + strings.Repeat("[", MaxRead-10),
			strings.Replace(text, `"rev":`, `"rev":-`, 1), strings.Replace(text, `"rev":`, `"rev":1e`, 1), strings.Replace(text, `"rev":`, `"rev":0.`, 1),
			changed(t, text, "rev", json.Number("9223372036854775808")), changed(t, text, "rev", "1"), changed(t, text, "deleted", "no"),
			changed(t, text, "by", 5),
		} {
			if _, err := Decode(billing, bad, now); err == nil || refusalOf(0, err).Reason != Malformed && refusalOf(0, err).Reason != UnknownVersion {
				t.Errorf("%.100q: %v", bad, err)
			}
		}
		for field, values := range map[string][]any{
			"rev":  {0, -1, math.MinInt64},
			"at":   {-1, int64(latest + 1), math.MaxInt64, math.MinInt64},
			"exp":  {-1, int64(latest + 1), math.MaxInt64, math.MinInt64},
			"spec": {nil, []int{}, "x", 5, json.RawMessage("null")},
		} {
			for _, value := range values {
				want := rev
				if field == "rev" {
					want = 0
				}
				refused(t, changed(t, text, field, value), now, Malformed, want)
			}
		}
	})
	t.Run("keys twice", func(t *testing.T) {
		t.Parallel()
		for _, twice := range []string{
			strings.Replace(text, `{"s":1`, `{"s":1,"s":1`, 1), strings.Replace(text, `{"s":1`, `{"S":1,"s":1`, 1),
			strings.Replace(text, `{"s":1`, `{"ſ":1,"s":1`, 1), // which encoding/json takes for s
			strings.Replace(text, `"workers":16`, `"workers":16,"workers":16`, 1), strings.Replace(text, `"by":"ann"`, `"by":"eve","b\u0079":"ann"`, 1),
		} {
			if twice == text {
				t.Fatal("nothing was changed")
			}
			refused(t, twice, now, Malformed, rev)
		}
	})
}

// TestExpired: that it has expired isn't Decode's business.
func TestExpired(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	d := dated(now, spec)
	d.Expires = now.Add(-time.Hour)
	if got, err := Decode(billing, written(t, d, nil), now); err != nil || !got.Expires.Equal(d.Expires) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestUnknownFields: a later program may write more into the envelope without a new version.
func TestUnknownFields(t *testing.T) {
	t.Parallel()
	now := time.UnixMilli(1_800_000_000_123)
	if _, err := Decode(billing, changed(t, written(t, dated(now, spec), nil), "hint", "x"), now); err != nil {
		t.Error(err)
	}
}

func TestNewer(t *testing.T) {
	t.Parallel()
	list := []Document{{}, {Rev: 1, Sum: "a"}, {Rev: 1, Sum: "b"}, {Rev: 2}, {Rev: math.MaxInt64}}
	for i, a := range list {
		for j, b := range list {
			if a.Newer(b) != (i > j) {
				t.Errorf("%+v newer than %+v: %t", a, b, a.Newer(b))
			}
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	for id, want := range map[ID][3]string{
		{"", "billing"}:    {"billing", "billing#previous", "group billing"},
		{"red", "billing"}: {"red%billing", "red%billing#previous", "group billing of tenant red"},
	} {
		if got := [3]string{id.Key(), id.PreviousKey(), id.String()}; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// mended gives a text the checksum and the signature of its content, so that more than these are tried.
func mended(text string, private ed25519.PrivateKey) string {
	e, err := parse(text)
	if err != nil {
		return text
	}
	signed := e.signed(billing)
	e.Sum, e.Key = sum(signed), KeyID(private.Public().(ed25519.PublicKey))
	e.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(private, signed))
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return text
	}
	return out.String()
}

// FuzzDecode: whatever it is given, it gives a document or a refusal, and a document survives being written again. Its
// seeds are in testdata too.
func FuzzDecode(f *testing.F) {
	now := time.UnixMilli(1_800_000_000_123)
	public, private := key(0)
	d := dated(now, spec)
	d.Expires = now.Add(time.Hour)
	f.Add(written(f, d, nil), false, false)
	f.Add(written(f, d, private), true, false)
	f.Fuzz(func(t *testing.T, text string, signed, mend bool) {
		if mend {
			text = mended(text, private)
		}
		var keys []ed25519.PublicKey
		if signed {
			keys = []ed25519.PublicKey{public}
		}
		d, err := Decode(billing, text, now, keys...)
		if err != nil {
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Reason == "" || refusal.Rev < 0 {
				t.Fatalf("%#v", err)
			}
			return
		}
		if d.Rev <= 0 || len(text) > MaxRead || d.Deleted != (d.Spec == nil) || !d.Deleted && !json.Valid(d.Spec) {
			t.Fatalf("%+v", d)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatalf("a status with it can't be shown: %v", err)
		}
		again, err := d.Encode(billing, private)
		if err != nil {
			if len(text) <= MaxWritten-200 {
				t.Fatalf("%v: %s", err, text)
			}
			return
		}
		second, err := Decode(billing, again, now, public)
		if d.Key = second.Key; err != nil || !reflect.DeepEqual(second, d) {
			t.Fatalf("%v\n%+v\n%+v", err, second, d)
		}
	})
}
