// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A State is where a certificate stands.
type State string

// The states of a certificate.
const (
	Valid   State = "valid"
	Expired State = "expired"
	Revoked State = "revoked"
	Held    State = "held" // it is valid, and not handed over
)

// A Sort is what the rows of a page are sorted by.
type Sort string

// The orders of rows. Those of the same place are sorted by serial number, or by role and id.
const (
	ByNotAfter  Sort = "not_after"
	ByNotBefore Sort = "not_before"
	ByPaidUntil Sort = "subscription_end"
	ByRevoked   Sort = "revoked_at"
	ByName      Sort = "name"
	ByRole      Sort = "role"
	ByMadeAt    Sort = "created_at"
	ByChangedAt Sort = "updated_at"
)

// A Query selects rows. A filter whose value is the zero one selects all.
type Query struct {
	Now time.Time // by which certificates are valid or expired

	// Name is one of the row's names, or covered by a wildcard among them, whatever its case.
	Name string
	// Text is part of a name, role, requester, owner, issuer, serial number or id, whatever its
	// case.
	Text                                           string
	Role, Requester, Owner, Issuer, KeyType, State string
	// WaitsFor is whom an order waits for.
	WaitsFor string
	// Select selects certificates by what is above them: it is asked with their [Row.Chain] and
	// their own key, and must not call the index. nil selects all.
	Select func(chain string, key KeyID) bool
	// ExpiresWithin selects certificates that are neither expired nor revoked, and expire within
	// that time.
	ExpiresWithin time.Duration

	Sort       Sort // ByNotAfter when empty
	Descending bool
	After      string // a Next of a page; empty for the first page
	Limit      int    // of rows in the page; 1 at least
}

// A Page is some of the rows that a query selects.
type Page struct {
	Rows []Row
	// Next is where the next page begins, for [Query.After]; empty when there are no more rows.
	// Rows that come or go between two pages move none of the others from one to the other.
	Next string
	// Matches counts all rows that the query selects.
	Matches int
	// Complete is not set while the index is not whole: rows may be missing.
	Complete bool
}

// StateOf returns the state of a certificate at a time, or that of an order.
func StateOf(r Row, now time.Time) string {
	p := packed{revoked: seconds(r.Revoked), notAfter: seconds(r.NotAfter), held: r.Held}
	if r.State != "" {
		return r.State
	}
	return string(p.stateAt(now.Unix()))
}

func (p *packed) stateAt(now int64) State {
	switch {
	case p.revoked != 0:
		return Revoked
	case p.notAfter <= now:
		return Expired
	case p.held:
		return Held
	}
	return Valid
}

// Page returns the rows that a query selects, from where it begins. The error is a
// [*fault.FieldError] about sort or after.
func (x *Index) Page(q Query) (Page, error) {
	q.Sort = cmp.Or(q.Sort, ByNotAfter)
	if !slices.Contains(sorts, q.Sort) {
		return Page{}, fault.BadField("sort", "%q is none of %s",
			sanitize.Short(string(q.Sort)), listOfSorts())
	}
	from, err := readCursor(q)
	if err != nil {
		return Page{}, err
	}
	f, out := newFilter(x, q), Page{Complete: x.IsComplete()}
	best := chosen{limit: max(q.Limit, 1), descending: q.Descending}
	x.scan(func(p *packed) bool {
		if !f.matches(p) {
			return true
		}
		out.Matches++
		if at := x.placeOf(p, q.Sort); from == nil || best.compare(at, *from) > 0 {
			best.add(at)
		}
		return true
	})
	places, more := best.sorted()
	for _, at := range places {
		if r, there := x.rowAt(at.key); there {
			out.Rows = append(out.Rows, r)
		}
	}
	if more {
		out.Next = places[len(places)-1].cursor(q)
	}
	return out, nil
}

// rowAt returns the row with a packed key; false when it has gone.
func (x *Index) rowAt(key string) (Row, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, there := x.byKey[key]
	if !there {
		return Row{}, false
	}
	return x.unpack(&x.slots[at]), true
}

var sorts = []Sort{
	ByNotAfter, ByNotBefore, ByPaidUntil, ByRevoked, ByName, ByRole, ByMadeAt, ByChangedAt,
}

func listOfSorts() string {
	var names []string
	for _, by := range sorts {
		names = append(names, string(by))
	}
	return strings.Join(names, ", ")
}

// A place is where a row comes in a sorted list: by a number or a text, and among equals by its
// packed key.
type place struct {
	number int64
	text   string
	key    string
}

// placeOf returns the place of a row. The caller holds mu.
func (x *Index) placeOf(p *packed, by Sort) place {
	at := place{key: p.key}
	switch by {
	case ByNotAfter:
		at.number = p.notAfter
	case ByNotBefore:
		at.number = p.notBefore
	case ByPaidUntil:
		at.number = p.paidUntil
	case ByRevoked:
		at.number = p.revoked
	case ByMadeAt:
		at.number = p.madeAt
	case ByChangedAt:
		at.number = p.changedAt
	case ByName:
		at.text, _, _ = strings.Cut(p.names, "\n")
	case ByRole:
		at.text = x.words.all[p.role]
	}
	return at
}

// cursor returns the place as a text that says by what the list is sorted.
func (at place) cursor(q Query) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join([]string{
		string(q.Sort), strconv.FormatBool(q.Descending), strconv.FormatInt(at.number, 10),
		at.text, at.key,
	}, "\n")))
}

// readCursor returns the place after which a page begins; nil for the first page.
func readCursor(q Query) (*place, error) {
	if q.After == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(q.After)
	parts := strings.SplitN(string(raw), "\n", 5)
	if err != nil || len(parts) < 5 {
		return nil, fault.BadField("after", "is no value of next: begin without it")
	}
	if parts[0] != string(q.Sort) || parts[1] != strconv.FormatBool(q.Descending) {
		return nil, fault.BadField("after", "is a value of next in a list that was sorted "+
			"otherwise: begin without it")
	}
	number, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return nil, fault.BadField("after", "is no value of next: begin without it")
	}
	return &place{number: number, text: parts[3], key: parts[4]}, nil
}

// chosen are the first places of a sorted list, out of many that come in no order.
type chosen struct {
	limit      int
	descending bool
	all        []place
	cut        bool // some were left out
}

func (c *chosen) compare(a, b place) int {
	order := cmp.Compare(a.number, b.number)
	if order == 0 {
		order = strings.Compare(a.text, b.text)
	}
	if order == 0 {
		order = strings.Compare(a.key, b.key)
	}
	if c.descending {
		return -order
	}
	return order
}

// add takes in a place. It sorts once for as many as there may be.
func (c *chosen) add(at place) {
	if c.cut && c.compare(at, c.all[c.limit-1]) > 0 {
		return
	}
	c.all = append(c.all, at)
	if len(c.all) > 2*c.limit {
		c.sort()
	}
}

func (c *chosen) sort() {
	slices.SortFunc(c.all, c.compare)
	if len(c.all) > c.limit {
		c.all, c.cut = c.all[:c.limit], true
	}
}

// sorted returns the places, and whether there are more than the limit.
func (c *chosen) sorted() (places []place, more bool) {
	c.sort()
	return c.all, c.cut
}
