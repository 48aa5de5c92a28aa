// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Prefix is where the pages are stored, below the name of their index.
const Prefix = "index/"

const (
	noPage = -1
	// maxPageRows and maxPageBytes bound a page, and with it what one changed row has a pass write.
	maxPageRows  = 256
	maxPageBytes = 128 << 10
	// maxSaved is how many pages one pass saves.
	maxSaved = 32
)

// pages say which rows are saved together. Rows do not change their page.
type pages struct {
	all   map[int32]*page
	dirty map[int32]bool
	open  int32 // the page that takes new rows, if there is one of this number with room
	next  int32 // number of the next new page
}

// A page is a number of rows that are saved in one entry.
type page struct {
	slots []int32
	bytes int
}

// enter gives a new row a page. The caller holds the index's mu.
func (g *pages) enter(x *Index, at int32) {
	p := &x.slots[at]
	if p.unsaved {
		p.page = noPage
		return
	}
	cost := p.cost()
	if g.all[g.open] == nil || !g.all[g.open].hasRoom(cost) {
		g.open = g.next
	}
	g.enterPage(x, at, g.open)
}

// enterPage gives a new row a certain page.
func (g *pages) enterPage(x *Index, at, number int32) {
	if g.all == nil {
		g.all, g.dirty = make(map[int32]*page), make(map[int32]bool)
	}
	into := g.all[number]
	if into == nil {
		into = new(page)
		g.all[number] = into
	}
	g.next = max(g.next, number+1)
	p := &x.slots[at]
	p.page = number
	into.slots = append(into.slots, at)
	into.bytes += p.cost()
	g.dirty[number] = true
}

// drop notes a page whose entry is to be deleted.
func (g *pages) drop(number int32) {
	if g.all == nil {
		g.all, g.dirty = make(map[int32]*page), make(map[int32]bool)
	}
	if g.all[number] == nil {
		g.all[number] = new(page)
	}
	g.dirty[number] = true
}

func (g *page) hasRoom(cost int) bool {
	return len(g.slots) < maxPageRows && g.bytes+cost <= maxPageBytes
}

// change notes that a row has replaced before, in its place.
func (g *pages) change(x *Index, at int32, before *packed) {
	p := &x.slots[at]
	switch {
	case p.unsaved || before.page == noPage:
		now := *p
		x.slots[at] = *before
		g.leave(x, at)
		x.slots[at] = now
		g.enter(x, at)
	default:
		g.all[p.page].bytes += p.cost() - before.cost()
		g.dirty[p.page] = true
	}
}

// leave takes a row out of its page. A page with room for many takes new rows.
func (g *pages) leave(x *Index, at int32) {
	p := &x.slots[at]
	from := g.all[p.page]
	if from == nil {
		return
	}
	from.slots = slices.DeleteFunc(from.slots, func(other int32) bool { return other == at })
	from.bytes -= p.cost()
	g.dirty[p.page] = true
	if len(from.slots) < maxPageRows/2 {
		g.open = p.page
	}
}

// cost is how many bytes a row takes in a page, at most.
func (p *packed) cost() int {
	const fixed = 200 // numbers, the price, and names of fields
	n := fixed + 3*(len(p.key)+len(p.order)+len(p.number)+len(p.serial)) + len(p.names)
	for _, c := range []byte(p.names) {
		if c < ' ' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' || c >= 0x7f {
			n += 5 // JSON writes it as six characters
		}
	}
	return n
}

// A StoredPage is the entry of a page.
type StoredPage struct {
	Version int       `json:"version"`
	SavedAt time.Time `json:"saved_at"`
	// Words are the texts that the rows refer to by their places here.
	Words []string    `json:"words"`
	Rows  []StoredRow `json:"rows"`
}

// A StoredRow is a [Row] in a page.
type StoredRow struct {
	Serial string   `json:"s,omitempty"`
	Order  string   `json:"o,omitempty"`
	Number string   `json:"i,omitempty"`
	Names  []string `json:"n,omitempty"`
	// Words are the places of role, requester, owner, account, issuer, key type, state, whom it
	// waits for, and origin.
	Words [9]int `json:"w"`
	// Times are when it begins and ends, until when it is paid for, when it was revoked, made and
	// changed, in seconds since 1970; 0 when that is not known.
	Times [6]int64 `json:"t"`
	Held  bool     `json:"h,omitempty"`
	// Chain is one more than the place of the chain among the words; 0 when that is not known.
	Chain int `json:"c,omitempty"`
	// Key is the [KeyID] of the certificate's key; empty when that is not known.
	Key []byte `json:"k,omitempty"`
	// Price is that of the row.
	Price string `json:"p,omitempty"`
}

// stored returns a page as it is stored.
func stored(rows []Row, now time.Time) *StoredPage {
	out, places := &StoredPage{Version: 1, SavedAt: now.UTC()}, make(map[string]int)
	place := func(word string) int {
		at, known := places[word]
		if !known {
			at = len(out.Words)
			places[word] = at
			out.Words = append(out.Words, word)
		}
		return at
	}
	for _, r := range rows {
		row := StoredRow{
			Serial: r.Serial, Order: r.OrderID, Number: r.Number, Names: r.Names, Held: r.Held,
			Price: r.Price,
			Words: [9]int{
				place(r.Role), place(r.Requester), place(r.Owner), place(r.Account),
				place(r.Issuer), place(r.KeyType), place(r.State), place(r.WaitsFor),
				place(string(r.Origin)),
			},
			Times: [6]int64{
				seconds(r.NotBefore), seconds(r.NotAfter), seconds(r.PaidUntil),
				seconds(r.Revoked), seconds(r.MadeAt), seconds(r.ChangedAt),
			},
		}
		if r.Chain != "" {
			row.Chain = place(r.Chain) + 1
		}
		if r.Key != (KeyID{}) {
			row.Key = r.Key[:]
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// rows returns the rows of a stored page. The error says that it is not one that was saved.
func (g *StoredPage) rows() ([]Row, error) {
	out := make([]Row, 0, len(g.Rows))
	for _, r := range g.Rows {
		var w [len(r.Words)]string
		for i, at := range r.Words {
			if at < 0 || at >= len(g.Words) {
				return nil, fmt.Errorf("a row refers to word %d of %d", at, len(g.Words))
			}
			w[i] = g.Words[at]
		}
		row := Row{
			Serial: r.Serial, OrderID: r.Order, Number: r.Number, Names: r.Names, Held: r.Held,
			Price: r.Price,
			Role:  w[0], Requester: w[1], Owner: w[2], Account: w[3], Issuer: w[4], KeyType: w[5],
			State: w[6], WaitsFor: w[7], Origin: Origin(w[8]),
			NotBefore: moment(r.Times[0]), NotAfter: moment(r.Times[1]),
			PaidUntil: moment(r.Times[2]), Revoked: moment(r.Times[3]),
			MadeAt: moment(r.Times[4]), ChangedAt: moment(r.Times[5]),
		}
		if r.Chain < 0 || r.Chain > len(g.Words) {
			return nil, fmt.Errorf("a row refers to word %d of %d", r.Chain-1, len(g.Words))
		}
		if r.Chain > 0 {
			row.Chain = g.Words[r.Chain-1]
		}
		if len(r.Key) == len(row.Key) {
			row.Key = KeyID(r.Key)
		}
		if row.key() == "" || strings.HasPrefix(row.key(), "/") {
			return nil, fmt.Errorf("row %d says not what it is about", len(out))
		}
		out = append(out, row)
	}
	return out, nil
}

// save stores the pages whose rows have changed, some in each call, and deletes those that have
// lost them all. Only what is whole is saved: a start begins with what there is.
func (x *Index) save(ctx context.Context, s logical.Storage) error {
	for _, number := range x.takeDirty(maxSaved) {
		key := x.prefix + pageName(number)
		rows := x.rowsOf(number)
		var err error
		if len(rows) == 0 {
			err = store.Delete(ctx, s, key)
		} else {
			err = store.Put(ctx, s, key, stored(rows, x.Now()))
		}
		if err != nil {
			x.mu.Lock()
			x.pages.dirty[number] = true
			x.mu.Unlock()
			return err
		}
	}
	return nil
}

func pageName(number int32) string { return fmt.Sprintf("%06d", number) }

// takeDirty returns the numbers of some pages that are to be saved, which count as saved.
func (x *Index) takeDirty(most int) []int32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	out := slices.Sorted(maps.Keys(x.pages.dirty))
	out = out[:min(len(out), most)]
	for _, number := range out {
		delete(x.pages.dirty, number)
	}
	return out
}

// rowsOf returns the rows of a page.
func (x *Index) rowsOf(number int32) []Row {
	x.mu.RLock()
	defer x.mu.RUnlock()
	g := x.pages.all[number]
	if g == nil {
		return nil
	}
	var out []Row
	for _, at := range g.slots {
		out = append(out, x.unpack(&x.slots[at]))
	}
	return out
}
