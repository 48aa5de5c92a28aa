// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package settings

import (
	"errors"
	"flag"
	"reflect"
)

// A List is the settings of one struct, in the order in which they are shown.
type List []Setting

// Check returns an [Error] for each setting whose value is wrong, all of them joined.
func (l List) Check() error {
	var problems []error
	for _, s := range l {
		if problem := s.problem(); problem != "" {
			problems = append(problems, &Error{s.Name, s.written(), problem})
		}
	}
	return errors.Join(problems...)
}

// Running are the settings that may change while the struct is in use.
func (l List) Running() List {
	var running List
	for _, s := range l {
		if !s.Fixed {
			running = append(running, s)
		}
	}
	return running
}

// Saved are the values at this moment, for [List.Restore].
func (l List) Saved() []any {
	saved := make([]any, len(l))
	for i, s := range l {
		saved[i] = reflect.ValueOf(s.Field).Elem().Interface()
	}
	return saved
}

// Restore sets the values that the same list once had. Those that are as they were are not
// written: what is fixed may be read meanwhile.
func (l List) Restore(saved []any) {
	for i, s := range l {
		field := reflect.ValueOf(s.Field).Elem()
		if !reflect.DeepEqual(field.Interface(), saved[i]) {
			field.Set(reflect.ValueOf(saved[i]))
		}
	}
}

// Imply sets fields that have the value which their zero stands for to that zero: what was written
// by [List.MarshalJSON] and loaded is then what it was.
func (l List) Imply() {
	for _, s := range l {
		if v := reflect.ValueOf(s.Field).Elem(); s.Zero != nil && v.Interface() == s.Zero {
			v.SetZero()
		}
	}
}

// Define gives each setting that is one text a flag of its own. The flags set the fields, and
// refuse what the setting does not take.
func (l List) Define(flags *flag.FlagSet) {
	for _, s := range l {
		if !s.IsText() {
			continue
		}
		help := s.Help
		if s.Source != "" {
			help += "; source: " + s.Source
		}
		flags.Var(flagValue{s}, s.Flag(), help)
	}
}

// flagValue is a setting as a flag.
type flagValue struct{ Setting }

// String is the value, and empty where that is nothing to tell of: help shows it as the default.
// Package flag asks a zero flagValue, too.
func (f flagValue) String() string {
	if f.Field == nil {
		return ""
	}
	if v := reflect.ValueOf(f.value()); v.IsZero() && f.Names == nil {
		return ""
	}
	return f.written()
}

// Set reads the value.
func (f flagValue) Set(given string) error {
	if problem := f.parse(given); problem != "" {
		return errors.New(problem)
	}
	return nil
}

// IsBoolFlag lets -name stand for -name=true.
func (f flagValue) IsBoolFlag() bool {
	_, isBool := f.Field.(*bool)
	return isBool
}
