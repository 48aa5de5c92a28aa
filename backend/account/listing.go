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

// A Window is the part of a list that a client asks for.
type Window struct {
	// After is the Next of the previous page; the list's beginning when empty.
	After string
	Limit int // number of rows, from 1 to MaxRows
}

// MaxRows is the largest number of rows on a page.
const MaxRows = 1000

// A Page is a part of a list, in CERTInext's order.
type Page[T any] struct {
	Rows []T    // not nil
	Next string // for Window.After; empty when the list ends here
	// Total is the length of the whole list, or -1 when only reading it to its end would tell.
	Total int
}

// Validate returns an error about the field limit unless it is within bounds.
func (w Window) Validate() error {
	if w.Limit < 1 || w.Limit > MaxRows {
		return fault.BadField("limit", "must be between 1 and %d", MaxRows)
	}
	return nil
}

// ReadPage reads a page from rows, and only as far as it takes to know whether another one follows.
// A page ends at a row's id, so rows that come and go between two requests neither hide nor repeat
// others. A row whose id is empty is known by its position instead.
func ReadPage[T any](rows iter.Seq2[T, error], id func(T) string, w Window) (Page[T], error) {
	p := Page[T]{Rows: []T{}, Total: -1}
	skipping := w.After != ""
	last, n := "", 0
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
		return Page[T]{}, fault.BadField("after",
			"%q is not in the list, or no longer: start over without after",
			sanitize.Short(w.After))
	}
	return p, nil
}

// pageAll is [ReadPage] for a list that has been read as a whole, so that its Total is known. Of
// rows with the same id, only the first counts.
func pageAll[T any](all []T, id func(T) string, w Window) (Page[T], error) {
	if err := w.Validate(); err != nil {
		return Page[T]{}, err
	}
	seen := make(map[string]bool, len(all))
	rows := slices.DeleteFunc(slices.Clone(all), func(row T) bool {
		known := id(row) != "" && seen[id(row)]
		seen[id(row)] = true
		return known
	})
	p, err := ReadPage(func(yield func(T, error) bool) {
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

// Filter yields the rows that match, and all errors.
func Filter[T any](rows iter.Seq2[T, error], matches func(T) bool) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for row, err := range rows {
			if (err != nil || matches(row)) && !yield(row, err) {
				return
			}
		}
	}
}

// RowID joins parts into a row's id for [ReadPage]. It is empty when all parts are.
func RowID(parts ...string) string {
	if id := strings.Join(parts, "/"); len(id) > len(parts)-1 {
		return id
	}
	return ""
}
