// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package index keeps in memory what is listed of certificates and of orders, so that a list, a
// filter or a figure reads no storage, however much is stored (ADR 0043).
//
// It promises four things. What was told to it is found at once. Nobody who issues waits for it: a
// search lets go of its lock every few thousand rows, and nothing is stored but by the background
// pass. What it says is whole, or IsComplete reports false. And whatever is wrong with what it has
// stored, it reads the entries again: an index is never a reason to answer with an error.
//
// It knows neither certificates nor orders, and asks a [Source] for their rows. It holds no
// secret: no key, and no accessor of a token.
//
// # How it is filled
//
// A process fills an index once, in the background, after its first pass or when somebody first
// asks for a list: from the pages that passes have saved, and then from the entries that the pages
// lack or may be behind on, see [Index.Begin]. Performance standbys fill one of their own, and
// read again what the active node has changed, see [Index.Doubt].
package index

import (
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
)

// An Index holds one row for each certificate, or for each order. Its methods may be called
// concurrently, except Tend, which only the background pass calls.
type Index struct {
	*host.Host
	prefix string // of the saved pages, with a slash at its end
	source Source

	mu    sync.RWMutex
	slots []packed         // a row keeps its place while it is there
	free  []int32          // places in slots that rows have left
	byKey map[string]int32 // place of a row, by its packed key
	words words
	pages pages

	// reading are the keys whose entries are being read, and whether their rows were changed
	// meanwhile, so that what was read is out of date.
	reading map[string]bool
	doubted map[string]bool // packed keys of entries that have to be read again

	filling   chan struct{} // closed when the goroutine that fills the index has ended; nil if none
	hurry     chan struct{} // gets an element when that goroutine is to begin at once
	loaded    bool          // the saved pages were read
	complete  bool          // and so was whatever they lack
	announced announcements // changes of old entries
	resets    int           // how often the index was emptied
	verified  int           // place after the last row that a pass has compared with its entry
	// roundBegan is when a pass compared the first row, by our clock.
	roundBegan time.Time
	// turn is full while an entry is read: two that read the same one could not tell which of them
	// is out of date.
	turn chan struct{}
}

// New returns an empty index whose pages are saved below index/<name>/. It touches no storage.
func New(h *host.Host, name string, source Source) *Index {
	return &Index{
		Host: h, prefix: Prefix + name + "/", source: source,
		byKey: make(map[string]int32), doubted: make(map[string]bool),
		reading: make(map[string]bool), turn: make(chan struct{}, 1),
		hurry: make(chan struct{}, 1),
		announced: announcements{
			turn: make(chan struct{}, 1), pending: make(map[string]int), told: make(map[string]int),
		},
	}
}

// IsComplete reports whether there is a row for everything that is stored.
func (x *Index) IsComplete() bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.complete && len(x.doubted) == 0
}

// Len returns the number of rows.
func (x *Index) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.byKey)
}
