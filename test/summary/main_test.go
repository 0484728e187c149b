package main

import (
	"strings"
	"testing"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	const pass = `{"Action":"output","Package":"a","Test":"TestA","Output":"=== RUN TestA\n"}
{"Action":"output","Package":"a","Test":"TestA","Output":"    a_test.go:1: chatter\n"}
{"Action":"pass","Package":"a","Test":"TestA","Elapsed":0.1}
`
	const end = `{"Action":"pass","Package":"a","Elapsed":0.2}
`
	for name, c := range map[string]struct {
		in        string
		passed    bool
		want, not string
	}{
		"passed": {pass + end, true, "1 passed, 0 failed, 0 skipped", "chatter"},
		"failed": {pass + `{"Action":"output","Package":"a","Test":"TestB","Output":"    a_test.go:2: wrong\n"}
{"Action":"fail","Package":"a","Test":"TestB"}
{"Action":"fail","Package":"a"}
`, false, "a_test.go:2: wrong\nFAIL  a", "chatter"},
		"skipped": {pass + `{"Action":"output","Package":"a","Test":"TestB","Output":"    a_test.go:2: needs a broker: run make test\n"}
{"Action":"skip","Package":"a","Test":"TestB"}
` + end, true, "skip  TestB in a: needs a broker: run make test\n2 tests in 1 packages", "chatter"},
		"never ended": {`{"Action":"output","Package":"a","Test":"TestB","Output":"panic: out of time\n"}
{"Action":"fail","Package":"a"}
`, false, "panic: out of time", "chatter"},
		"failed outside its tests": {pass + `{"Action":"output","Package":"a","Output":"goleak: found unexpected goroutines\n"}
{"Action":"output","Package":"a","Output":"FAIL\ta\t1s\n"}
{"Action":"fail","Package":"a"}
`, false, "goleak: found unexpected goroutines", "FAIL\ta"},
		"not built": {`{"Action":"build-output","ImportPath":"a","Output":"a.go:1: syntax error\n"}
{"Action":"build-fail","ImportPath":"a"}
{"Action":"fail","Package":"a"}
`, false, "a.go:1: syntax error", "chatter"},
		"not only events": {"go: downloading x\n" + pass + end, true, "go: downloading x", "chatter"},
	} {
		var out strings.Builder
		passed, err := summarize(strings.NewReader(c.in), &out)
		if err != nil || passed != c.passed || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), c.not) {
			t.Errorf("%s: %t, %v, and printed\n%s", name, passed, err, &out)
		}
	}
	if passed, err := summarize(strings.NewReader(""), new(strings.Builder)); passed || err == nil {
		t.Error("nothing to read passes for a success")
	}
}
