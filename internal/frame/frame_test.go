package frame_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/rocketkit/rocketkit/internal/frame"
)

func read(b []byte) (*frame.Frame, error) {
	return frame.Read(bufio.NewReader(bytes.NewReader(b)))
}

// raw builds a frame around any header.
func raw(codec byte, header, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(4+len(header)+len(body)))
	b = binary.BigEndian.AppendUint32(b, uint32(codec)<<24|uint32(len(header)))
	return append(append(b, header...), body...)
}

func mustAppend(t testing.TB, f *frame.Frame) []byte {
	t.Helper()
	b, err := frame.Append(nil, f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The files under testdata/java were written by RocketMQ 5.5.0's own
// RemotingCommand, in both codecs.
func TestReadsWhatJavaWrites(t *testing.T) {
	t.Parallel()
	for _, codec := range []string{"json", "rocketmq"} {
		t.Run(codec, func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(filepath.Join("testdata", "java", "send."+codec))
			if err != nil {
				t.Fatal(err)
			}
			f, err := read(b)
			if err != nil {
				t.Fatal(err)
			}
			if f.Code != 310 || f.Opaque != 7 || f.Flag != 0 || f.Language != "JAVA" || f.Version != 513 || string(f.Body) != "body" {
				t.Errorf("frame %+v", f)
			}
			want := "KEYS\x01k \"1\" \\ /\x02TAGS\x01中😀\x02x\x01\n\t\x7f\x02"
			if got, _ := f.Fields.Get("i"); got != want {
				t.Errorf("properties %q, want %q", got, want)
			}
			if n, err := f.Fields.Int64("g"); n != 1700000000000 || err != nil {
				t.Errorf("born at %d, %v", n, err)
			}

			if b, err = os.ReadFile(filepath.Join("testdata", "java", "answer."+codec)); err != nil {
				t.Fatal(err)
			}
			if f, err = read(b); err != nil {
				t.Fatal(err)
			}
			if f.Code != 1 || !f.IsAnswer() || f.IsOneWay() || f.Remark != "no\nluck" || f.Body != nil {
				t.Errorf("frame %+v", f)
			}
			if s, ok := f.Fields.Get("transactionId"); s != "" || !ok {
				t.Errorf("transactionId %q, %v", s, ok)
			}
		})
	}
}

func TestReadTakesAnyJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, header string
		want         frame.Frame
	}{
		{"empty", `{}`, frame.Frame{}},
		{"space", " {\r\n\t\"code\" : 3 , \"flag\":1 } \n", frame.Frame{Code: 3, Flag: 1}},
		{"nulls", `{"code":null,"remark":null,"extFields":null,"language":null}`, frame.Frame{}},
		{"null field", `{"extFields":{"a":null,"b":"null"}}`, frame.Frame{Fields: frame.Fields{{"b", "null"}}}},
		{"empty fields", `{"extFields":{ }}`, frame.Frame{}},
		{"numbers and booleans", `{"extFields":{"a":-12,"b":true,"c":1.5e3,"d":false}}`,
			frame.Frame{Fields: frame.Fields{{"a", "-12"}, {"b", "true"}, {"c", "1.5e3"}, {"d", "false"}}}},
		{"nested field", `{"extFields":{"a":{"x":[1, "}"]}}}`, frame.Frame{Fields: frame.Fields{{"a", `{"x":[1, "}"]}`}}}},
		{"quoted numbers", `{"code":"12","opaque":"-1"}`, frame.Frame{Code: 12, Opaque: -1}},
		{"unknown keys", `{"x":{"y":[1,{"z":"\""},null,[]]},"code":1,"suspended":false}`, frame.Frame{Code: 1}},
		{"escapes", `{"remark":"\"\\\/\b\f\n\r\t\u0001\u00e9\u4E2d"}`, frame.Frame{Remark: "\"\\/\b\f\n\r\t\x01é中"}},
		{"surrogates", `{"remark":"\ud83d\ude00"}`, frame.Frame{Remark: "😀"}},
		{"half surrogates", `{"remark":"\ud83d \ud83d\u0041\ude00"}`, frame.Frame{Remark: "\uFFFD \uFFFDA\uFFFD"}},
		{"raw control", "{\"remark\":\"a\x01b\"}", frame.Frame{Remark: "a\x01b"}},
		{"escaped key", `{"c\u006fde":5}`, frame.Frame{Code: 5}},
		{"unknown language", `{"language":"COBOL","version":-1}`, frame.Frame{Language: "COBOL", Version: -1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(raw(0, tt.header, ""))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("got %+v, want %+v", *got, tt.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	whole := raw(0, `{"code":1}`, "body")
	tests := map[string][]byte{
		"negative length":           {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"length too large":          {0x01, 0, 0, 1, 0, 0, 0, 2},
		"length too small":          {0, 0, 0, 3, 0, 0, 0, 0},
		"header beyond the frame":   {0, 0, 0, 8, 0, 0, 0, 5, '{', '}', 0, 0},
		"unknown codec":             raw(2, `{}`, ""),
		"no header":                 raw(0, "", ""),
		"not JSON":                  raw(0, "hello", ""),
		"array":                     raw(0, "[]", ""),
		"null":                      raw(0, "null", ""),
		"text after":                raw(0, `{} x`, ""),
		"open object":               raw(0, `{"code":1`, ""),
		"trailing comma":            raw(0, `{"code":1,}`, ""),
		"no colon":                  raw(0, `{"code" 1}`, ""),
		"bare key":                  raw(0, `{code:1}`, ""),
		"open string":               raw(0, `{"remark":"x}`, ""),
		"open escape":               raw(0, `{"remark":"\`, ""),
		"bad escape":                raw(0, `{"remark":"\q"}`, ""),
		"bad unicode escape":        raw(0, `{"remark":"\u12G4"}`, ""),
		"short unicode escape":      raw(0, `{"remark":"\u12`, ""),
		"code is a word":            raw(0, `{"code":"x"}`, ""),
		"code too large":            raw(0, `{"code":2147483648}`, ""),
		"code is a fraction":        raw(0, `{"code":1.5}`, ""),
		"value is a word":           raw(0, `{"x":nul}`, ""),
		"fields are a list":         raw(0, `{"extFields":[]}`, ""),
		"deep":                      raw(0, `{"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`, ""),
		"short binary":              raw(1, "\x00\x01", ""),
		"binary, lying remark":      raw(1, "\x00\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00", ""),
		"binary, negative remark":   raw(1, "\x00\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00", ""),
		"binary, half a field":      raw(1, "\x00\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x01a", ""),
		"binary, bytes after":       raw(1, "\x00\x01\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00z", ""),
		"ends within the length":    whole[:3],
		"ends before header":        whole[:8],
		"ends within the header":    whole[:12],
		"ends within the body":      whole[:len(whole)-1],
		"large, ends within body":   raw(0, `{}`, strings.Repeat("x", 1<<20))[:700<<10],
		"large, ends within text":   raw(0, `{"x":"`+strings.Repeat("x", 1<<20)+`"}`, "")[:700<<10],
		"full length, nothing else": {0x01, 0, 0, 0, 0, 0, 0, 2},
	}
	for name, b := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := read(b)
			if !errors.Is(err, frame.ErrMalformed) {
				t.Errorf("got %+v, %v; want ErrMalformed", f, err)
			}
			if len(err.Error()) > 300 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestReadTellsTheEndFromTrouble(t *testing.T) {
	t.Parallel()
	if _, err := read(nil); err != io.EOF {
		t.Errorf("clean end: %v, want io.EOF alone", err)
	}
	broken := errors.New("cable cut")
	_, err := frame.Read(bufio.NewReader(iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || errors.Is(err, frame.ErrMalformed) {
		t.Errorf("reader's own error: %v", err)
	}
}

// A length costs the peer four bytes; it must not cost us 16 MiB.
func TestReadAllocatesWhatArrives(t *testing.T) {
	lie := []byte{0x01, 0, 0, 0, 0, 0, 0, 2, '{', '}', 'x'}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 10
	for range times {
		if _, err := read(lie); err == nil {
			t.Fatal("read a body that never came")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / times; n > 512<<10 {
		t.Errorf("%d bytes allocated for a body that never came", n)
	}
}

func TestReadKeepsItsBody(t *testing.T) {
	t.Parallel()
	var stream []byte
	var want []string
	for _, n := range []int{1, 100, 5000, 300 << 10, 3 << 20} {
		want = append(want, strings.Repeat(string(rune('a'+len(want))), n))
		stream = append(stream, raw(0, `{}`, want[len(want)-1])...)
	}
	r := bufio.NewReader(iotest.HalfReader(bytes.NewReader(stream)))
	var got []*frame.Frame
	for {
		f, err := frame.Read(r)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	for i, f := range got {
		if string(f.Body) != want[i] {
			t.Errorf("body %d changed", i)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d frames, want %d", len(got), len(want))
	}
}

func TestAppendIsStandardJSON(t *testing.T) {
	t.Parallel()
	f := &frame.Frame{
		Code: 310, Opaque: -5, Flag: 2, Remark: "why \"not\" \\ \n",
		Fields: frame.Fields{{"i", "KEYS\x01a b\x02TAGS\x01中😀\x02"}, {"bad", "a\xffb\xc3"}, {"\x00\x1f\x7f", "\r\t\b"}},
		Body:   []byte("body"),
	}
	b := mustAppend(t, f)
	header := b[8 : 8+int(binary.BigEndian.Uint32(b[4:]))]
	var got struct {
		Code, Opaque, Flag, Version int
		Language, Remark            string
		ExtFields                   map[string]string
	}
	if err := json.Unmarshal(header, &got); err != nil {
		t.Fatalf("%v in %s", err, header)
	}
	if got.Code != 310 || got.Opaque != -5 || got.Flag != 2 || got.Version != 493 || got.Language != "GO" || got.Remark != f.Remark {
		t.Errorf("header %+v", got)
	}
	want := map[string]string{"i": f.Fields[0].Value, "bad": "a\uFFFDb\uFFFD", "\x00\x1f\x7f": "\r\t\b"}
	if !reflect.DeepEqual(got.ExtFields, want) {
		t.Errorf("fields %q, want %q", got.ExtFields, want)
	}
	if !bytes.HasSuffix(b, []byte("}body")) || int(binary.BigEndian.Uint32(b)) != len(b)-4 {
		t.Errorf("frame %q", b)
	}
}

func TestAppendRefusesWhatServersWould(t *testing.T) {
	t.Parallel()
	before := []byte("before")
	empty := len(mustAppend(t, &frame.Frame{}))
	if _, err := frame.Append(nil, &frame.Frame{Body: make([]byte, frame.MaxSize-empty)}); err != nil {
		t.Errorf("largest frame: %v", err)
	}
	for _, body := range []int{frame.MaxSize - empty + 1, frame.MaxSize + 1} {
		got, err := frame.Append(before, &frame.Frame{Body: make([]byte, body)})
		if !errors.Is(err, frame.ErrTooLarge) || string(got) != "before" {
			t.Errorf("body of %d bytes: %d bytes, %v", body, len(got), err)
		}
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	f := frame.Fields{{"n", "1"}, {"n", "-9"}, {"big", "2147483648"}, {"yes", "true"}, {"no", "false"}, {"word", "x"}}
	if n, err := f.Int32("n"); n != -9 || err != nil {
		t.Errorf("last of two: %d, %v", n, err)
	}
	if n, err := f.Int64("big"); n != 1<<31 || err != nil {
		t.Errorf("big: %d, %v", n, err)
	}
	for _, key := range []string{"big", "word", "absent"} {
		if _, err := f.Int32(key); err == nil || !strings.Contains(err.Error(), `"`+key+`"`) {
			t.Errorf("%s: %v, want an error that names it", key, err)
		}
	}
	if !f.Bool("yes") || f.Bool("no") || f.Bool("word") || f.Bool("absent") {
		t.Error("Bool is wrong about yes, no, word or absent")
	}
	if _, ok := frame.Fields(nil).Get("n"); ok {
		t.Error("nil Fields have a field")
	}
}

func TestAllocations(t *testing.T) {
	b := mustAppend(t, sample())
	src := bytes.NewReader(b)
	r := bufio.NewReader(src)
	got := testing.AllocsPerRun(100, func() {
		src.Reset(b)
		r.Reset(src)
		if _, err := frame.Read(r); err != nil {
			t.Fatal(err)
		}
	})
	if got > 4 { // frame, header, fields, body
		t.Errorf("Read allocates %v times, want 4", got)
	}
	f, buf := sample(), make([]byte, 0, 1<<16)
	if got = testing.AllocsPerRun(100, func() { buf, _ = frame.Append(buf[:0], f) }); got > 0 {
		t.Errorf("Append allocates %v times, want 0", got)
	}
}

func sample() *frame.Frame {
	return &frame.Frame{
		Code: 11, Opaque: 77, Flag: 1, Version: 513, Language: "JAVA",
		Fields: frame.Fields{{"nextBeginOffset", "1234567"}, {"minOffset", "0"}, {"maxOffset", "1234599"}, {"suggestWhichBrokerId", "0"}},
		Body:   make([]byte, 32<<10),
	}
}

// eachCodec runs a benchmark for either codec.
func eachCodec(b *testing.B, run func(*testing.B, frame.Codec)) {
	b.Helper()
	b.Run("json", func(b *testing.B) { run(b, frame.JSON) })
	b.Run("binary", func(b *testing.B) { run(b, frame.Binary) })
}

func BenchmarkRead(b *testing.B) {
	eachCodec(b, func(b *testing.B, codec frame.Codec) {
		b.Helper()
		f := sample()
		f.Codec = codec
		wire := mustAppend(b, f)
		src := bytes.NewReader(wire)
		r := bufio.NewReaderSize(src, 64<<10)
		b.SetBytes(int64(len(wire)))
		b.ReportAllocs()
		for b.Loop() {
			src.Reset(wire)
			r.Reset(src)
			if _, err := frame.Read(r); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	eachCodec(b, func(b *testing.B, codec frame.Codec) {
		b.Helper()
		f := sample()
		f.Codec = codec
		f.Fields = append(f.Fields, frame.Field{"i", "KEYS\x01order-1\x02UNIQ_KEY\x01AC1100010000\x02TAGS\x01a\x02"})
		f.Body = f.Body[:1024]
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = frame.Append(buf[:0], f)
		}
	})
}
