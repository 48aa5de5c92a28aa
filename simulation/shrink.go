// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"io"
	"reflect"
	"slices"
	"testing"
	"time"
)

// shrink returns the shortest history found that still breaks a promise. It first leaves out long
// stretches of actions, then single ones, and then simplifies the rest. Since histories are
// repeatable, every attempt is conclusive.
func shrink(t *testing.T, h History, name string, limit time.Duration) History {
	t.Helper()
	end := time.Now().Add(limit)
	s := &shrinker{
		breaks: func(h History) bool {
			return time.Now().Before(end) && run(t, h, nil, io.Discard).breaks(name)
		},
		best: h,
	}
	s.leaveOut()
	for s.simplify() || s.leaveOut() {
	}
	return s.best
}

// A shrinker holds the shortest history so far.
type shrinker struct {
	breaks func(History) bool
	best   History
}

// try adopts a history if it still breaks the promise.
func (s *shrinker) try(h History) bool {
	if !s.breaks(h) {
		return false
	}
	s.best = h
	return true
}

// leaveOut leaves out stretches of actions, long ones first. It reports whether the history became
// shorter.
func (s *shrinker) leaveOut() (shorter bool) {
	for size := len(s.best.Actions) / 2; size > 0; size /= 2 {
		for at := len(s.best.Actions) - size; at >= 0; at -= size {
			h := s.best
			h.Actions = slices.Concat(h.Actions[:at], h.Actions[at+size:])
			if s.try(h) {
				shorter = true
			}
		}
	}
	return shorter
}

// simplify simplifies manners and actions, one field at a time. It reports whether any became
// simpler.
func (s *shrinker) simplify() (plainer bool) {
	if !s.best.Orderly {
		h := s.best
		h.Orderly = true
		plainer = s.try(h) || plainer
	}
	m := reflect.ValueOf(&s.best.Manners).Elem()
	for i := range m.NumField() {
		if m.Field(i).IsZero() || m.Type().Field(i).Name == "TokenTTL" {
			continue
		}
		h := s.best
		reflect.ValueOf(&h.Manners).Elem().Field(i).SetZero()
		plainer = s.try(h) || plainer
	}
	for i := range s.best.Actions {
		for _, field := range []string{"Then", "Hang", "Loss", "Times", "Skip", "ID", "Key"} {
			plainer = s.without(i, field) || plainer
		}
	}
	return plainer
}

// without tries the history without a field of one action. A request is changed in all of its
// actions.
func (s *shrinker) without(i int, field string) bool {
	a := s.best.Actions[i]
	f := reflect.ValueOf(&a).Elem().FieldByName(field)
	if f.IsZero() {
		return false
	}
	f.SetZero()
	h, before := s.best, s.best.Actions[i].Request
	h.Actions = slices.Clone(h.Actions)
	h.Actions[i] = a
	for j := range h.Actions {
		if h.Actions[j].Request == before {
			h.Actions[j].Request = a.Request
		}
	}
	return s.try(h)
}
