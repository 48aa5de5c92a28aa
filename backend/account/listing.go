// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A Window is the part of a list that is asked for.
type Window struct {
	// After is the Next of the page before; the list's beginning when empty.
	After string
	Limit int // of rows, from 1 to MaxRows
}

// MaxRows is the most that one page holds.
const MaxRows = 1000

// A Page is a part of a list, in CERTInext's order.
type Page[T any] struct {
	Rows []T
	Next string // for Window.After; empty when the list ends here
	// Total is the length of the whole list; -1 when only its end would tell.
	Total int
}

// Validate returns an error about a field that does not suit a list.
func (w Window) Validate() error {
	if w.Limit < 1 || w.Limit > MaxRows {
		return fault.BadField("limit", "must be between 1 and %d", MaxRows)
	}
	return nil
}

// Turn reads a page out of rows, and no further than to know whether another one follows. A row is found again by its id, so
// that rows which come and go meanwhile neither hide nor repeat others; one that has none, by its position.
func Turn[T any](rows iter.Seq2[T, error], id func(T) string, w Window) (Page[T], error) {
	p := Page[T]{Rows: []T{}, Total: -1}
	skipping, last, n := w.After != "", "", 0
	for row, err := range rows {
		if err != nil {
			return Page[T]{}, err
		}
		n++
		here := id(row)
		if here == "" {
			here = "#" + strconv.Itoa(n)
		}
		switch {
		case skipping:
			skipping = here != w.After
			continue
		case len(p.Rows) == w.Limit:
			p.Next = last
			return p, nil
		}
		p.Rows, last = append(p.Rows, row), here
	}
	if skipping {
		return Page[T]{}, fault.BadField("after", "%q is not in the list, or not any more: begin again without it", sanitize.Short(w.After))
	}
	return p, nil
}

// turnAll is turn for a list that is there as a whole. Of rows with the same id it shows the first.
func turnAll[T any](all []T, id func(T) string, w Window) (Page[T], error) {
	if err := w.Validate(); err != nil {
		return Page[T]{}, err
	}
	seen := make(map[string]bool, len(all))
	rows := slices.DeleteFunc(slices.Clone(all), func(row T) bool {
		known := id(row) != "" && seen[id(row)]
		seen[id(row)] = true
		return known
	})
	p, err := Turn(func(yield func(T, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}, id, w)
	if err == nil {
		p.Total = len(rows)
	}
	return p, err
}

// Only leaves out the rows that do not fit.
func Only[T any](rows iter.Seq2[T, error], fits func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if (err != nil || fits(row)) && !yield(row, err) {
				return
			}
		}
	}
}

// RowID joins what a row is known by; empty when there is nothing.
func RowID(parts ...string) string {
	if id := strings.Join(parts, "/"); len(id) > len(parts)-1 {
		return id
	}
	return ""
}

// MarkerPrefix begins the tag that an order is found by in CERTInext's own records.
const MarkerPrefix = "vault-order:"

// IsMarker reports whether a tag is such a marker.
func IsMarker(tag string) bool { return strings.HasPrefix(strings.ToLower(tag), MarkerPrefix) }
