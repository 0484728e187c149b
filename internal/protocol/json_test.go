package protocol

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestStandardJSON(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"standard stays":     {`{"a": [1, 2]}`, `{"a": [1, 2]}`},
		"number keys":        {`{0:"a",-1:"b"}`, `{"0":"a","-1":"b"}`},
		"bare keys":          {`{a_b:true}`, `{"a_b":true}`},
		"object keys":        {`{{"q":0}:{"x":1}}`, `{"{\"q\":0}":{"x":1}}`},
		"array keys":         {`{[1,"a"]:2}`, `{"[1,\"a\"]":2}`},
		"escapes in a key":   {`{{"q":"a\"b"}:1}`, `{"{\"q\":\"a\\\"b\"}":1}`},
		"braces in a string": {`{{"q":"}{:"}:"{{"}`, `{"{\"q\":\"}{:\"}":"{{"}`},
		"space is dropped":   {"{ 0 :\n [ 1 , { } , [ ] ] }", `{"0":[1,{},[]]}`},
		"number in key":      {`{{"q":{1:2}}:3}`, `{"{\"q\":{\"1\":2}}":3}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := standardJSON([]byte(c.in))
			if err != nil || string(got) != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
			if !json.Valid(got) {
				t.Error("not JSON")
			}
		})
	}
}

func TestStandardJSONRefuses(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"nothing":             "",
		"space":               "  ",
		"cut object":          `{0:`,
		"cut key":             `{{"a":1}`,
		"cut string":          `{0:"a`,
		"cut escape":          `{0:"a\`,
		"two values":          `{0:1}{0:1}`,
		"comma at the end":    `{0:1,}`,
		"missing comma":       `{0:1 1:2}`,
		"missing colon":       `{0 1}`,
		"bare word":           `{0:word}`,
		"object key in a key": `{{{"a":1}:2}:3}`,
		"too deep":            `{0:` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`,
		"far too deep":        strings.Repeat("{", 1_000_000),
		"control byte":        "{0:\"\x01\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, err := standardJSON([]byte(in)); err == nil {
				t.Errorf("gave %s", out)
			}
		})
	}
}
