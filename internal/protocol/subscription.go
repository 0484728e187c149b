package protocol

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
)

// AllTags is the expression that takes every message.
const AllTags = "*"

// SubscriptionData is a group's subscription to one topic, in heartbeats and running info.
type SubscriptionData struct {
	Topic           string   `json:"topic"`
	Expression      string   `json:"subString"`
	Tags            []string `json:"tagsSet,omitempty"`
	Codes           []int32  `json:"codeSet,omitempty"` // JavaHash of each tag: what a broker filters by
	Version         int64    `json:"subVersion"`        // ms since 1970; a broker takes a subscription only over an older one
	ExpressionType  string   `json:"expressionType"`
	ClassFilterMode bool     `json:"classFilterMode"`
}

// UnmarshalJSON reads what any client writes: client-go puts the hash codes into quotes, which Java takes for numbers all
// the same.
func (s *SubscriptionData) UnmarshalJSON(text []byte) error {
	type plain SubscriptionData // without this method
	read := struct {
		*plain
		Codes []json.Number `json:"codeSet"` // hides plain's; takes numbers with quotes and without
	}{plain: (*plain)(s)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	s.Codes = nil
	for _, code := range read.Codes {
		n, err := strconv.ParseInt(code.String(), 10, 32)
		if err != nil {
			return fmt.Errorf("codeSet: %w", err)
		}
		s.Codes = append(s.Codes, int32(n))
	}
	return nil
}

// IsTag tells whether a text is one tag, which an expression can name among others.
func IsTag(text string) bool {
	return text != "" && text != AllTags && strings.TrimSpace(text) == text && !strings.Contains(text, "|") && !strings.ContainsFunc(text, unicode.IsControl)
}

// SubscriptionFor builds a subscription by tags, as Java's FilterAPI does: "a || b", or "*" or nothing for all messages.
// Its version is the present time. An expression that names no tag, such as "||", would match nothing and is an error.
func SubscriptionFor(topic, tags string) (SubscriptionData, error) {
	s := SubscriptionData{Topic: topic, Expression: tags, Version: time.Now().UnixMilli(), ExpressionType: ExpressionTag}
	if tags == "" || tags == AllTags {
		s.Expression = AllTags
		return s, nil
	}
	for tag := range strings.SplitSeq(tags, "||") {
		tag = strings.TrimFunc(tag, func(r rune) bool { return r <= ' ' }) // what Java's trim takes off
		if tag != "" && !slices.Contains(s.Tags, tag) {
			s.Tags = append(s.Tags, tag)
			if code := JavaHash(tag); !slices.Contains(s.Codes, code) {
				s.Codes = append(s.Codes, code)
			}
		}
	}
	if len(s.Tags) == 0 {
		return SubscriptionData{}, fmt.Errorf("subscription to %s: expression %q names no tag: use %q for all messages", topic, tags, AllTags)
	}
	return s, nil
}

// SubscriptionSQL builds a subscription by an SQL92 expression over properties, which a broker takes only with
// enablePropertyFilter. An empty expression is an error.
func SubscriptionSQL(topic, expression string) (SubscriptionData, error) {
	if strings.TrimSpace(expression) == "" {
		return SubscriptionData{}, fmt.Errorf("subscription to %s: the SQL expression is empty", topic)
	}
	return SubscriptionData{Topic: topic, Expression: expression, Version: time.Now().UnixMilli(), ExpressionType: ExpressionSQL}, nil
}

// Matches tells whether a message with the given tag is wanted. A broker filters by the tags' hash codes only, so
// consumers check again. It is always true for SQL and for all tags.
func (s *SubscriptionData) Matches(tag string) bool {
	return len(s.Tags) == 0 || slices.Contains(s.Tags, tag)
}

// JavaHash is Java's String.hashCode, over UTF-16 code units.
func JavaHash(s string) int32 {
	var h int32
	for _, r := range s {
		if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
			h = 31*(31*h+high) + low
		} else {
			h = 31*h + r
		}
	}
	return h
}
