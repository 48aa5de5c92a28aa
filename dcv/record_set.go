// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A recordSet is the TXT records of one name, at a host that keeps them together: whoever changes
// one of them writes all of them.
type recordSet struct {
	records []storedText
	ttl     int64  // seconds
	version string // the host's name for this state of the set, where it has one
	// metadata are notes of others, which are written back; Azure's only.
	metadata map[string]*string
}

// A storedText is one TXT record of a set.
type storedText struct {
	text string
	// spelt is what the host keeps, and takes back unchanged: the text's strings, or all of them in
	// the form of a zone file.
	spelt []string
}

// with returns the set with one more record; there reports that it has that text already.
func (s recordSet) with(
	text string, spelt []string, ttl time.Duration,
) (out recordSet, there bool) {
	if s.has(text) {
		return s, true
	}
	if len(s.records) == 0 {
		s.ttl = int64(ttl / time.Second)
	}
	s.records = append(slices.Clone(s.records), storedText{text, spelt})
	return s, false
}

// without returns the set without the records that have a text.
func (s recordSet) without(text string) recordSet {
	s.records = slices.DeleteFunc(
		slices.Clone(s.records), func(r storedText) bool { return r.text == text },
	)
	return s
}

func (s recordSet) has(text string) bool {
	return slices.ContainsFunc(s.records, func(r storedText) bool { return r.text == text })
}

// equal reports whether a host that shows o after s has not changed the set in between.
func (s recordSet) equal(o recordSet) bool {
	return s.ttl == o.ttl && s.version == o.version && slices.EqualFunc(
		s.records, o.records,
		func(a, b storedText) bool { return slices.Equal(a.spelt, b.spelt) },
	)
}

// A setHost is a DNS host that keeps record sets.
type setHost interface {
	// find returns the host's own name for the zone that the public DNS shows.
	find(ctx context.Context, zone string) (id string, err error)
	// read returns the TXT record set of a name, empty where there is none, and looks at no other.
	read(ctx context.Context, id string, r Record) (recordSet, error)
	// write replaces the set before, whole, and removes it where after is empty. It does nothing
	// and returns a *conflictError when the set is not before any more.
	write(ctx context.Context, id string, r Record, before, after recordSet) error
	// spell returns what the host keeps for a text.
	spell(text string) []string
}

// A conflictError is a change that was refused, perhaps because somebody else has changed the set.
type conflictError struct{ err error }

// Error is the text of the refusal.
func (e *conflictError) Error() string { return e.err.Error() }

// Unwrap returns the refusal.
func (e *conflictError) Unwrap() error { return e.err }

// setProvider is the provider of a host that keeps record sets. It changes a set only from the
// state that it has seen, so that two writers cannot undo each other's records, be they in one
// process or in two.
type setProvider struct {
	host  setHost
	turns turns // by name: callers of one process do not have to collide
}

// Publish adds a record.
func (p *setProvider) Publish(ctx context.Context, r Record, ttl time.Duration) error {
	return p.change(ctx, r, func(before recordSet) (recordSet, bool) {
		return before.with(r.Value, p.host.spell(r.Value), ttl)
	})
}

// Remove removes a record.
func (p *setProvider) Remove(ctx context.Context, r Record) error {
	return p.change(ctx, r, func(before recordSet) (recordSet, bool) {
		return before.without(r.Value), !before.has(r.Value)
	})
}

// setAttempts are how often a set is changed that others change, too.
const setAttempts = 5

// change replaces the set of r's name by what alter makes of it, unless alter reports that nothing
// is to be done.
func (p *setProvider) change(
	ctx context.Context, r Record, alter func(before recordSet) (after recordSet, done bool),
) error {
	release, err := p.turns.take(ctx, r.Name)
	if err != nil {
		return err
	}
	defer release()
	id, err := p.host.find(ctx, r.Zone)
	if err != nil {
		return err
	}
	var last recordSet
	var refused error
	for attempt := range setAttempts {
		before, err := p.host.read(ctx, id, r)
		if err != nil {
			return err
		}
		if attempt > 0 && before.equal(last) {
			return refused // nobody has changed it: that was not the reason
		}
		after, done := alter(before)
		if done {
			return nil
		}
		err = p.host.write(ctx, id, r, before, after)
		if conflict := new(conflictError); !errors.As(err, &conflict) {
			return err
		}
		last, refused = before, err
	}
	return refused
}

// onlyPublic returns the zone that the public DNS shows: the only public one of a name. Where there
// is none or a choice, the [*SettingError] names the setting that decides.
func onlyPublic(field, zone string, public, private []string) (string, error) {
	problem := ""
	switch {
	case len(public) == 1:
		return public[0], nil
	case len(public) > 1:
		problem = fmt.Sprintf("several public zones are named %s (%s): say in which of them the "+
			"records belong", bare(zone), strings.Join(public, ", "))
	case len(private) > 0:
		problem = fmt.Sprintf("the only zones that are named %s are private (%s), which no CA "+
			"sees: say in which zone the records belong", bare(zone), strings.Join(private, ", "))
	default:
		return "", fmt.Errorf("there is no zone %s under these credentials", bare(zone))
	}
	return "", &SettingError{Field: field, Problem: problem}
}

// quoted is the form of a text in a zone file: one string in quotation marks.
func quoted(text string) []string {
	return []string{`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`}
}

// unquoted returns the text of a TXT record in the form of a zone file, its strings joined. Escapes
// of bytes that [quoted] would not escape stay as they are: such a text is never one of ours.
func unquoted(spelt string) string {
	var text strings.Builder
	inside := false
	for i := 0; i < len(spelt); i++ {
		switch c := spelt[i]; {
		case c == '\\' && i+1 < len(spelt) && (spelt[i+1] == '"' || spelt[i+1] == '\\'):
			i++
			text.WriteByte(spelt[i])
		case c == '"':
			inside = !inside
		case !inside && (c == ' ' || c == '\t'):
		default:
			text.WriteByte(c)
		}
	}
	return text.String()
}

// storedTexts returns the records that a host keeps in the form of a zone file.
func storedTexts(spelt []string) []storedText {
	out := make([]storedText, 0, len(spelt))
	for _, s := range spelt {
		out = append(out, storedText{text: unquoted(s), spelt: []string{s}})
	}
	return out
}

// zoneFileForm returns what a host takes that keeps texts in the form of a zone file.
func (s recordSet) zoneFileForm() []string {
	out := make([]string, 0, len(s.records))
	for _, r := range s.records {
		out = append(out, r.spelt...)
	}
	return out
}
