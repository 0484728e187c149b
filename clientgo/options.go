package clientgo

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/rocketkit/rocketkit"
)

// rules say of each field of one of client-go's option structs which option sets it and what becomes of that.
type rules map[string]rule

type rule struct {
	option  string // of client-go, by name
	refused string // why, or where its place is here; empty when it is carried over
}

// settings are the values that a caller's options have set. client-go's options are functions on structs that it doesn't
// export, of which it exports the fields: they are applied to such a struct here, and read back.
type settings struct {
	fields reflect.Value
	rules  rules
}

func configError(format string, args ...any) error {
	return fmt.Errorf("clientgo: %s: %w", fmt.Sprintf(format, args...), rocketkit.ErrConfig)
}

// read applies options to a struct that has the defaults, and refuses what can't be carried over. O is consumer.Option or
// producer.Option.
func read[O any](options []O, defaults map[string]any, known rules) (settings, error) {
	s := settings{reflect.New(reflect.TypeFor[O]().In(0).Elem()).Elem(), known}
	untouched := reflect.New(s.fields.Type()).Elem()
	for _, v := range []reflect.Value{s.fields, untouched} {
		if err := prepare(v, defaults, known); err != nil {
			return settings{}, err
		}
	}
	for i, option := range options {
		v := reflect.ValueOf(option)
		if v.IsNil() {
			return settings{}, configError("option %d is nil", i)
		}
		if r := known["TraceDispatcher"]; isTrace(v) {
			return settings{}, configError("%s: %s", r.option, r.refused)
		}
		if err := apply(i, v, s.fields.Addr()); err != nil {
			return settings{}, err
		}
	}
	return s, s.check(s.fields, untouched)
}

// prepare gives the struct its defaults, and pointers something to point to: in client-go options write through one
// that is the whole process's.
func prepare(v reflect.Value, defaults map[string]any, known rules) error {
	for name, r := range known {
		if r.refused == "" && !v.FieldByName(name).IsValid() {
			return configError("%s: this version of rocketmq-client-go has no field %s for it", r.option, name)
		}
	}
	for name, value := range defaults {
		if field := v.FieldByName(name); field.IsValid() && field.CanSet() {
			field.Set(reflect.ValueOf(value))
		}
	}
	if remoting := v.FieldByName("RemotingClientConfig"); remoting.IsValid() && remoting.Kind() == reflect.Pointer {
		remoting.Set(reflect.New(remoting.Type().Elem()))
	}
	return nil
}

// isTrace tells whether an option is WithTrace's, by the name of the function that it returns: calling that starts
// Apache's client. Where WithTrace is inlined the caller's name stands before it; other options' stand behind a caller that is
// called so.
func isTrace(option reflect.Value) bool {
	f := runtime.FuncForPC(option.Pointer())
	if f == nil {
		return false
	}
	parts := strings.Split(f.Name(), ".")
	return len(parts) > 1 && parts[len(parts)-2] == "WithTrace"
}

// apply calls one option, which is somebody's code.
func apply(i int, option, target reflect.Value) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = configError("option %d: panicked: %v", i, p)
		}
	}()
	option.Call([]reflect.Value{target})
	return nil
}

// check refuses the first field, in the struct's order, that was set and can't be carried over.
func (s settings) check(now, before reflect.Value) error {
	for i := range now.NumField() {
		field, name := now.Type().Field(i), now.Type().Field(i).Name
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			if err := s.check(now.Field(i), before.Field(i)); err != nil {
				return err
			}
			continue
		}
		if !differs(now.Field(i), before.Field(i)) {
			continue
		}
		r, known := s.rules[name]
		switch {
		case !known:
			return configError("an option sets %s.%s, which this version of rocketkit doesn't know", now.Type(), name)
		case r.refused != "":
			if trace, ok := valueOf(now.Field(i)).(interface{ Close() }); ok {
				trace.Close() // WithTrace has started it
			}
			return configError("%s: %s", r.option, r.refused)
		}
	}
	return nil
}

// differs tells whether a field isn't what it was; what can't be compared is known by not being nil.
func differs(now, before reflect.Value) bool {
	switch now.Kind() {
	case reflect.Func, reflect.Slice, reflect.Map, reflect.Chan, reflect.Interface:
		return !now.IsNil()
	case reflect.Pointer:
		return now.IsNil() != before.IsNil() || !now.IsNil() && differs(now.Elem(), before.Elem())
	case reflect.Array: // also the empty ones that forbid comparing their structs
		for i := range now.Len() {
			if differs(now.Index(i), before.Index(i)) {
				return true
			}
		}
		return false
	case reflect.Struct:
		for i := range now.NumField() {
			if differs(now.Field(i), before.Field(i)) {
				return true
			}
		}
		return false
	}
	return !now.Equal(before)
}

func valueOf(v reflect.Value) any {
	if !v.CanInterface() || (v.Kind() == reflect.Interface && v.IsNil()) {
		return nil
	}
	return v.Interface()
}

// get reads a field that is carried over.
func get[T any](s settings, field string) T {
	value, _ := valueOf(s.fields.FieldByName(field)).(T)
	return value
}
