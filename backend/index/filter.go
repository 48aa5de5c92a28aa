// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"encoding/hex"
	"strings"
)

// A filter is a query in the form in which rows are compared with it.
type filter struct {
	x     *Index
	q     Query
	now   int64
	until int64 // before which a certificate has to expire; 0 when it may at any time

	name, wildcard string // in lower case
	text, digits   string // in lower case; hexadecimal digits without separators, or empty
	// holds remembers, by the numbers of words, whether they hold the text.
	holds map[uint32]bool
}

func newFilter(x *Index, q Query) *filter {
	f := &filter{x: x, q: q, now: q.Now.Unix(), holds: make(map[uint32]bool)}
	if q.ExpiresWithin > 0 {
		f.until = q.Now.Add(q.ExpiresWithin).Unix()
	}
	f.name = strings.ToLower(q.Name)
	if _, parent, has := strings.Cut(f.name, "."); has && strings.Contains(parent, ".") {
		f.wildcard = "*." + parent
	}
	f.text = strings.ToLower(q.Text)
	digits := strings.NewReplacer(":", "", "-", "").Replace(f.text)
	if strings.Trim(digits, "0123456789abcdef") == "" {
		f.digits = digits
	}
	return f
}

// matches reports whether the query selects a row. The caller holds the index's mu.
func (f *filter) matches(p *packed) bool {
	w := f.x.words.all
	is := func(want string, word uint32) bool { return want == "" || w[word] == want }
	switch {
	case !is(f.q.Role, p.role), !is(f.q.Requester, p.requester), !is(f.q.Owner, p.owner),
		!is(f.q.Issuer, p.issuer), !is(f.q.KeyType, p.keyType), !is(f.q.WaitsFor, p.waitsFor):
		return false
	case f.q.State != "" && f.q.State != f.stateOf(p):
		return false
	case f.until != 0 && (p.revoked != 0 || p.notAfter <= f.now || p.notAfter > f.until):
		return false
	case f.q.Select != nil && !f.q.Select(w[p.chain], p.publicKey):
		return false
	case f.name != "" && !f.hasName(p.names):
		return false
	}
	return f.text == "" || f.hasText(p)
}

func (f *filter) stateOf(p *packed) string {
	if state := f.x.words.all[p.state]; state != "" {
		return state
	}
	return string(p.stateAt(f.now))
}

func (f *filter) hasName(names string) bool {
	names = strings.ToLower(names)
	if !strings.Contains(names, f.name) &&
		(f.wildcard == "" || !strings.Contains(names, f.wildcard)) {
		return false
	}
	for name := range strings.SplitSeq(names, "\n") {
		if name == f.name || (f.wildcard != "" && name == f.wildcard) {
			return true
		}
	}
	return false
}

func (f *filter) hasText(p *packed) bool {
	for _, word := range [...]uint32{p.role, p.requester, p.owner, p.issuer} {
		if f.wordHas(word) {
			return true
		}
	}
	if strings.Contains(strings.ToLower(p.names), f.text) || strings.Contains(p.number, f.text) {
		return true
	}
	return f.idHas(p.serial) || f.idHas(p.order)
}

func (f *filter) wordHas(word uint32) bool {
	has, known := f.holds[word]
	if !known {
		has = strings.Contains(strings.ToLower(f.x.words.all[word]), f.text)
		f.holds[word] = has
	}
	return has
}

// idHas reports whether a packed id holds the text, however its bytes are separated there.
func (f *filter) idHas(id string) bool {
	if id == "" {
		return false
	}
	if kind := id[:1]; kind != isSerial && kind != isUUID {
		return strings.Contains(strings.ToLower(id), f.text)
	}
	return f.digits != "" && strings.Contains(hex.EncodeToString([]byte(id[1:])), f.digits)
}
