package frame_test

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rocketkit/rocketkit/internal/frame"
)

// FuzzRead: any bytes either are a frame, which then survives Append, or are
// refused with an error that says so.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "java", "*"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := read(b)
		if err != nil {
			if err != io.EOF && !errors.Is(err, frame.ErrMalformed) || err == io.EOF && len(b) > 0 {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := read(mustAppend(t, got))
		if err != nil {
			t.Fatalf("own frame refused: %v", err)
		}
		if want := written(got, again.Codec); !reflect.DeepEqual(again, want) {
			t.Fatalf("wrote %+v, read %+v", want, again)
		}
	})
}

// FuzzRoundTrip: what Append writes Read reads back, and so from codec 1.
func FuzzRoundTrip(f *testing.F) {
	f.Add(int32(310), int32(1), int32(0), int32(0), "", "", "i", "KEYS\x01a\x02TAGS\x01b\x02", "", "\"\\\xff😀\u2028", []byte("body"))
	f.Fuzz(func(t *testing.T, code, opaque, flag, version int32, language, remark, k1, v1, k2, v2 string, body []byte) {
		in := &frame.Frame{Code: code, Opaque: opaque, Flag: flag, Version: version, Language: language, Remark: remark,
			Fields: frame.Fields{{k1, v1}, {k2, v2}}, Body: body}
		for _, in.Codec = range []frame.Codec{frame.JSON, frame.Binary} {
			got, err := read(mustAppend(t, in))
			if err != nil {
				t.Fatal(err)
			}
			if want := written(in, got.Codec); !reflect.DeepEqual(got, want) {
				t.Fatalf("wrote %+v, read %+v", want, got)
			}
			if got.Codec == frame.Binary && (in.Codec != frame.Binary || v1 == "" || v2 == "") {
				t.Fatalf("codec %d, with fields %v", got.Codec, in.Fields)
			}
		}

		if len(k1) > 1<<15 || len(k2) > 1<<15 {
			return
		}
		want := written(in, frame.Binary)
		want.Code, want.Version, want.Language = int32(int16(code)), int32(int16(version)), "RUST"
		got, err := read(rawBinary(in, 12))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("binary: wrote %+v, read %+v", want, got)
		}
	})
}

// written is f as it reads after Append has written it in codec.
func written(f *frame.Frame, codec frame.Codec) *frame.Frame {
	w := *f
	w.Codec = codec
	if w.Language == "" {
		w.Language = "GO"
	}
	if w.Version == 0 {
		w.Version = 493
	}
	valid := func(s string) string {
		if codec == frame.Binary {
			return s // the server makes it valid
		}
		return string([]rune(s))
	}
	w.Language, w.Remark, w.Fields = string([]rune(w.Language)), valid(w.Remark), nil
	for _, field := range f.Fields {
		w.Fields = append(w.Fields, frame.Field{Key: valid(field.Key), Value: valid(field.Value)})
	}
	if len(w.Body) == 0 {
		w.Body = nil
	}
	return &w
}

// rawBinary writes f in codec 1.
func rawBinary(f *frame.Frame, language byte) []byte {
	var fields []byte
	for _, field := range f.Fields {
		fields = binary.BigEndian.AppendUint16(fields, uint16(len(field.Key)))
		fields = append(fields, field.Key...)
		fields = binary.BigEndian.AppendUint32(fields, uint32(len(field.Value)))
		fields = append(fields, field.Value...)
	}
	h := binary.BigEndian.AppendUint16(nil, uint16(f.Code))
	h = append(h, language)
	h = binary.BigEndian.AppendUint16(h, uint16(f.Version))
	h = binary.BigEndian.AppendUint32(h, uint32(f.Opaque))
	h = binary.BigEndian.AppendUint32(h, uint32(f.Flag))
	h = binary.BigEndian.AppendUint32(h, uint32(len(f.Remark)))
	h = append(h, f.Remark...)
	h = binary.BigEndian.AppendUint32(h, uint32(len(fields)))
	h = append(h, fields...)
	return raw(1, string(h), string(f.Body))
}
