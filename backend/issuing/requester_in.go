// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// Who asked for an order is personal data. CERTInext is told only where the role's RequesterIn says
// so: in the remarks that its portal shows, in tags, which its reports show, or in a custom field
// of the product. A reissue has none of these, so CERTInext is told of orders alone.

// Places of an order at CERTInext that may say who asked for it.
const (
	InNone    = "none" // the same as no place
	InRemarks = "remarks"
	InTags    = "tags"
	// InField is followed by the id of a custom field.
	InField = "field:"
)

// Bounds of what is told. A tag's value has 30 characters at most (documented for version 1). No
// source bounds remarks.
const (
	longestTag   = 30
	longestField = 50
	longestText  = 150
)

// maxPlaces bounds the places of one role.
const maxPlaces = 10

// fieldPlace matches a custom field as a place.
var fieldPlace = regexp.MustCompile(`^field:[A-Za-z0-9_.-]{1,64}$`)

// checkRequesterIn looks at where orders say who asked for them.
func (r *Role) checkRequesterIn(all *fault.Fields) {
	if len(r.RequesterIn) > maxPlaces {
		all.Bad("requester_in", "has %d places, and may have %d", len(r.RequesterIn), maxPlaces)
		return
	}
	for _, place := range r.RequesterIn {
		id, isField := strings.CutPrefix(place, InField)
		switch _, taken := r.CustomFields[id]; {
		case isField && fieldPlace.MatchString(place) && taken:
			all.Bad("requester_in", "%q is among custom_fields, too: a field has one value", place)
		case isField && fieldPlace.MatchString(place), place == InRemarks, place == InTags:
		case place == InNone && len(r.RequesterIn) == 1:
		case place == InNone:
			all.Bad("requester_in", "is none, or names places: not both")
		default:
			all.Bad("requester_in", "%q is not none, remarks, tags or field:<id of a custom field>",
				sanitize.Short(place))
		}
	}
}

// tellsIn reports whether orders say in a place who asked for them.
func (r *Role) tellsIn(place string) bool { return slices.Contains(r.RequesterIn, place) }

// FieldsAsSent returns the role's custom fields with those that say who asked filled in as long as
// they can be, so that the product's fields can be compared with them before there is an order.
func (r *Role) FieldsAsSent() map[string]string {
	return r.withFields(strings.Repeat("x", longestField))
}

// withFields returns the role's custom fields, and text in those that say who asked.
func (r *Role) withFields(text string) map[string]string {
	fields := r.CustomFields
	for _, place := range r.RequesterIn {
		id, isField := strings.CutPrefix(place, InField)
		if !isField || text == "" {
			continue
		}
		more := make(map[string]string, len(fields)+1)
		for field, value := range fields {
			more[field] = value
		}
		more[id], fields = text, more
	}
	return fields
}

// A Told is what an order tells CERTInext beside the certificate.
type Told struct {
	Remarks      string
	Tags         []string
	CustomFields map[string]string
}

// Tells returns what an order under the role tells CERTInext: what the role says, and who asked for
// it, where the role says so. who names the requester, and owner is the request's.
func (r *Role) Tells(who, owner string) Told {
	t := Told{Remarks: r.Remarks, Tags: r.Tags, CustomFields: r.CustomFields}
	who, owner = tellable(who), tellable(owner)
	text := who
	if owner != "" {
		text = strings.TrimPrefix(text+", owner "+owner, ", ")
	}
	if text == "" {
		return t
	}
	if r.tellsIn(InRemarks) {
		t.Remarks = strings.TrimSpace(t.Remarks + " requested by " + cut(text, longestText))
	}
	if r.tellsIn(InTags) {
		t.Tags = slices.Clone(t.Tags)
		for _, tag := range [][2]string{{"requester", who}, {"owner", owner}} {
			if value := cut(strings.ReplaceAll(tag[1], ":", "."), longestTag); value != "" {
				t.Tags = append(t.Tags, tag[0]+":"+value)
			}
		}
	}
	t.CustomFields = r.withFields(cut(text, longestField))
	return t
}

// tellable returns a name as CERTInext may be told it: one printable line, without the semicolons
// that it refuses in notes, and without what the engine finds its own orders by.
func tellable(name string) string {
	name = strings.ReplaceAll(sanitize.Short(name), ";", ",")
	for { // what is left may be one, with what was around it
		clean := markerPattern.ReplaceAllString(name, "")
		if clean == name {
			return strings.TrimSpace(name)
		}
		name = clean
	}
}

// markerPattern matches what the marker of an order begins with, however often.
var markerPattern = regexp.MustCompile(`(?i)(` + regexp.QuoteMeta(
	strings.TrimSuffix(account.MarkerPrefix, ":")) + `\s*:?)+`)

// cut shortens a text to as many bytes, at the end of a character.
func cut(text string, longest int) string {
	for len(text) > longest {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}

// Bounds of what a request may have kept with its order.
const (
	longestOwner    = 100  // characters
	longestMetadata = 4096 // of base64
)

// checkKept looks at what a request has kept with its order.
func checkKept(r Request) error {
	for _, c := range r.Owner {
		if !unicode.IsPrint(c) {
			return fault.BadField("owner", "must be one line of printable characters")
		}
	}
	switch {
	case utf8.RuneCountInString(r.Owner) > longestOwner || !utf8.ValidString(r.Owner):
		return fault.BadField("owner", "has more than %d characters", longestOwner)
	case strings.Contains(strings.ToLower(r.Owner), account.MarkerPrefix):
		return fault.BadField("owner", "must not contain %q, by which the engine finds its own "+
			"orders", account.MarkerPrefix)
	case len(r.Metadata) > longestMetadata:
		return fault.BadField("cert_metadata", "is longer than %d characters", longestMetadata)
	}
	if _, err := base64.StdEncoding.DecodeString(r.Metadata); err != nil {
		return fault.BadField("cert_metadata", "is not base64, as Vault's PKI engine takes it")
	}
	return nil
}
