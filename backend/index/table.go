// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

// Put enters the row of a certificate, or of an order, whose entry was just stored, in place of the
// one that it had.
func (x *Index) Put(r Row) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.pack(&r)
	p.told = true
	x.set(p)
	x.settle(p.key)
}

// Remove removes the row of an entry that was just deleted; key is a serial number with dashes, or
// <role>/<id> of an order. It does nothing when there is no such row.
func (x *Index) Remove(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	packed := packID(key)
	x.remove(packed)
	x.settle(packed)
}

// settle notes that the row of a key was told, so that what is being read of its entry at this
// moment is out of date, and what was doubted is known. The caller holds mu.
func (x *Index) settle(key string) {
	if _, being := x.reading[key]; being {
		x.reading[key] = true
	}
	delete(x.doubted, key)
}

// set enters a row in place of the one with its key. The caller holds mu.
func (x *Index) set(p packed) {
	if at, known := x.byKey[p.key]; known {
		before := x.slots[at]
		p.told = p.told || before.told
		if sameRow(&before, &p) {
			x.slots[at].told = p.told
			return
		}
		p.page = before.page
		x.slots[at] = p
		x.pages.change(x, at, &before)
		return
	}
	x.add(p, noPage)
}

// add enters a row with a new key, in a page if that is given. The caller holds mu.
func (x *Index) add(p packed, number int32) {
	at := int32(len(x.slots)) //nolint:gosec // a machine has no room for that many
	if len(x.free) > 0 {
		at = x.free[len(x.free)-1]
		x.free = x.free[:len(x.free)-1]
		x.slots[at] = p
	} else {
		x.slots = append(x.slots, p)
	}
	x.byKey[p.key] = at
	if number == noPage {
		x.pages.enter(x, at)
	} else {
		x.pages.enterPage(x, at, number)
	}
}

// sameRow reports whether two rows say the same, wherever they are saved and whoever told them.
func sameRow(a, b *packed) bool {
	x, y := *a, *b
	x.page, y.page = 0, 0
	x.told, y.told = false, false
	return x == y
}

// remove removes the row with a packed key. The caller holds mu.
func (x *Index) remove(key string) {
	at, known := x.byKey[key]
	if !known {
		return
	}
	x.pages.leave(x, at)
	x.slots[at] = packed{page: noPage}
	x.free = append(x.free, at)
	delete(x.byKey, key)
}

// get returns the row with a key, as in [Index.Remove]; false when there is none.
func (x *Index) get(key string) (Row, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	at, known := x.byKey[packID(key)]
	if !known {
		return Row{}, false
	}
	return x.unpack(&x.slots[at]), true
}

// Find returns the rows with the given keys, as in [Index.Remove], by their keys. Those that the
// index does not have are missing.
func (x *Index) Find(keys []string) map[string]Row {
	found := make(map[string]Row, len(keys))
	for _, key := range keys {
		if r, known := x.get(key); known {
			found[key] = r
		}
	}
	return found
}

// scanned is how many rows are looked at before others get the lock.
const scanned = 2048

// scan calls look with each row, until it reports false. Between thousands of rows, others may
// change the index: rows that come or go meanwhile may be looked at or not, all others are looked
// at once. look is called with mu held for reading, and keeps no pointer.
func (x *Index) scan(look func(*packed) bool) {
	for from := 0; ; from += scanned {
		if !x.scanPart(from, look) {
			return
		}
	}
}

// scanPart is scan of some rows, and reports whether there are more to look at.
func (x *Index) scanPart(from int, look func(*packed) bool) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	to := min(from+scanned, len(x.slots))
	for i := from; i < to; i++ {
		if p := &x.slots[i]; p.key != "" && !look(p) {
			return false
		}
	}
	return to < len(x.slots)
}

// Each calls look with each row, in no order, until it reports false. look may take its time, but
// must not call the index, and does not keep what it is given.
func (x *Index) Each(look func(Row) bool) {
	x.scan(func(p *packed) bool { return look(x.unpack(p)) })
}

// A Numbered is an order of CERTInext's, by its number in an account.
type Numbered struct{ Account, Number string }

// CountNumbered returns how many rows have each of some numbers of CERTInext's.
func CountNumbered(x *Index, numbers map[string]bool) map[Numbered]int {
	counts := make(map[Numbered]int)
	if len(numbers) == 0 {
		return counts
	}
	x.scan(func(p *packed) bool {
		if numbers[p.number] {
			counts[Numbered{x.words.all[p.account], p.number}]++
		}
		return true
	})
	return counts
}
