package protocol

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestSubscriptionFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tags, expression string
		set              []string
		codes            []int32
	}{
		"all":       {"*", "*", nil, nil},
		"nothing":   {"", "*", nil, nil},
		"one":       {"TagA", "TagA", []string{"TagA"}, []int32{2598919}},
		"two":       {"TagA || TagB", "TagA || TagB", []string{"TagA", "TagB"}, []int32{2598919, 2598920}},
		"same hash": {"Aa||BB", "Aa||BB", []string{"Aa", "BB"}, []int32{2112}},
		"repeated":  {"a||a|| ||b", "a||a|| ||b", []string{"a", "b"}, []int32{97, 98}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := SubscriptionFor("orders", c.tags)
			if err != nil {
				t.Fatal(err)
			}
			if s.Topic != "orders" || s.Expression != c.expression || s.ExpressionType != ExpressionTag || s.Version == 0 ||
				!reflect.DeepEqual(s.Tags, c.set) || !reflect.DeepEqual(s.Codes, c.codes) {
				t.Errorf("got %+v", s)
			}
			for _, tag := range c.set {
				if !s.Matches(tag) {
					t.Errorf("%s isn't matched", tag)
				}
			}
			if s.Matches("other") != (c.set == nil) {
				t.Error("a foreign tag is judged wrongly")
			}
		})
	}
	for _, bad := range []string{"||", " ", " || "} {
		if _, err := SubscriptionFor("orders", bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestSubscriptionSQL(t *testing.T) {
	t.Parallel()
	s, err := SubscriptionSQL("orders", "a > 5")
	if err != nil || s.ExpressionType != ExpressionSQL || !s.Matches("any") || s.Tags != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := SubscriptionSQL("orders", " "); err == nil {
		t.Error("an empty expression was taken")
	}
}

func TestJavaHash(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int32{"": 0, "a": 97, "TagA": 2598919, "été ☃ 𝄞": 621003753, "\uFFFD": 65533} {
		if got := JavaHash(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

// Java writes hash codes as numbers, client-go as strings.
func TestSubscriptionOfOtherClients(t *testing.T) {
	for name, text := range map[string]string{
		"java":      `{"classFilterMode":false,"codeSet":[2110,-5],"expressionType":"TAG","subString":"Aa || x","subVersion":7,"tagsSet":["Aa","x"],"topic":"t"}`,
		"client-go": `{"classFilterMode":false,"topic":"t","subString":"Aa || x","tagsSet":["Aa","x"],"codeSet":["2110","-5"],"subVersion":7,"expressionType":"TAG"}`,
	} {
		var got SubscriptionData
		want := SubscriptionData{
			Topic: "t", Expression: "Aa || x", Tags: []string{"Aa", "x"}, Codes: []int32{2110, -5}, Version: 7, ExpressionType: "TAG",
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for _, bad := range []string{`{"codeSet":["x"]}`, `{"codeSet":["3000000000"]}`, `{"codeSet":[1.5]}`, `{"codeSet":7}`} {
		if err := json.Unmarshal([]byte(bad), new(SubscriptionData)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
