package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// topicChange is what is to become of one topic's settings.
type topicChange struct {
	topic string
	set   map[string]any // keys with their values
	unset []string       // keys that are to be taken out, so that the program's own value holds
}

// apply gives the settings with the change, and all that it doesn't concern as it was, whatever it is.
func (c topicChange) apply(spec json.RawMessage) (json.RawMessage, error) {
	all, err := members(spec, "the settings")
	if err != nil {
		return nil, err
	}
	topics, err := members(all["topics"], "topics")
	if err != nil {
		return nil, err
	}
	topic, err := members(topics[c.topic], "topics."+c.topic)
	if err != nil {
		return nil, err
	}
	for key, value := range c.set {
		if topic[key], err = encode(value); err != nil {
			return nil, err
		}
	}
	for _, key := range c.unset {
		delete(topic, key)
	}
	if err := put(topics, c.topic, topic); err != nil {
		return nil, err
	}
	if err := put(all, "topics", topics); err != nil {
		return nil, err
	}
	return encode(all)
}

// encode writes JSON, and leaves as it was what is JSON already: json.Marshal would write < in another way.
func encode(value any) (json.RawMessage, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSpace(text.Bytes()), err
}

// put sets a member that is an object, or removes it where it is empty.
func put(into map[string]json.RawMessage, key string, object map[string]json.RawMessage) (err error) {
	if len(object) == 0 {
		delete(into, key)
		return nil
	}
	into[key], err = encode(object)
	return err
}

// members reads an object that may be missing.
func members(text json.RawMessage, path string) (map[string]json.RawMessage, error) {
	found := map[string]json.RawMessage{}
	if len(text) == 0 {
		return found, nil
	}
	if err := json.Unmarshal(text, &found); err != nil || found == nil {
		return nil, fmt.Errorf("%s: is no JSON object", path)
	}
	return found, nil
}

// difference is one setting that changes.
type difference struct{ path, before, after string }

// differences compares two documents' settings, leaf by leaf, sorted by path. "" is a setting that isn't there.
func differences(before, after json.RawMessage) []difference {
	was, is := leaves(before), leaves(after)
	paths := slices.Collect(maps.Keys(was))
	for path := range is {
		if _, ok := was[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	var found []difference
	for _, path := range paths {
		if was[path] != is[path] {
			found = append(found, difference{path, was[path], is[path]})
		}
	}
	return found
}

// leaves gives the values of settings by their paths.
func leaves(spec json.RawMessage) map[string]string {
	found := map[string]string{}
	var walk func(path string, value json.RawMessage)
	walk = func(path string, value json.RawMessage) {
		value = bytes.TrimSpace(value)
		var object map[string]json.RawMessage
		if len(value) > 0 && value[0] == '{' && json.Unmarshal(value, &object) == nil && (len(object) > 0 || path == "") {
			for key, member := range object {
				walk(strings.TrimPrefix(path+"."+key, "."), member)
			}
			return
		}
		var text bytes.Buffer
		if json.Compact(&text, value) == nil {
			found[path] = text.String()
		}
	}
	if len(spec) > 0 {
		walk("", spec)
	}
	return found
}

// topicsIn gives the topics that settings speak of, sorted.
func topicsIn(spec json.RawMessage) []string {
	all, _ := members(spec, "")             // what is no object
	topics, _ := members(all["topics"], "") // speaks of none
	return slices.Sorted(maps.Keys(topics))
}
