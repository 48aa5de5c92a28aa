// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// A purchase is an order as seen on the wire: all create calls with the same marker.
type purchase struct {
	marker  string
	id      string // of the order that was stored before; empty when none was
	call    *call  // the call that it was first sent for; nil when the engine acted on its own
	arrived []moment
}

// A moment is a time by the true clock and by the plugin's clock, which may be wrong, with the time
// that the plugin's clock would show had it never been set back: a window that was over once does
// not start again when the clock is corrected.
type moment struct{ true, plugin, latest time.Time }

func (w *world) moment() moment {
	now := time.Now()
	return moment{now, w.pluginNow(), now.Add(time.Duration(w.leapt.Load()))}
}

// within reports whether m is at most d after another moment by all clocks. The plugin measures its
// windows by its own clock.
func (m moment) within(d time.Duration, after moment) bool {
	return !m.true.After(after.true.Add(d)) && !m.plugin.After(after.plugin.Add(d)) &&
		!m.latest.After(after.latest.Add(d))
}

// before reports whether m is before another moment by all clocks.
func (m moment) before(other moment) bool {
	return m.true.Before(other.true) && m.plugin.Before(other.plugin) &&
		m.latest.Before(other.latest)
}

// withinAnswer reports whether m is at most d after the plugin's answer to a call, which arrived at
// the moment at, whenever during the call the plugin read its clock.
func (m moment) withinAnswer(d time.Duration, at moment, by *call) bool {
	return m.within(d, at) && m.within(d, at.stamped(by))
}

// stamped returns the earliest moment that the plugin may have recorded for the answer of a call,
// which arrived at m: if its clock has jumped during the call, it may have read the clock before
// that.
func (m moment) stamped(by *call) moment {
	if by == nil {
		return m
	}
	if leap := m.plugin.Sub(by.began.plugin) - m.true.Sub(by.began.true); leap.Abs() > time.Second {
		return by.began
	}
	return m
}

func (m moment) zero() bool { return m.true.IsZero() }

// A handover is an answer that contained a certificate.
type handover struct {
	at     moment
	call   *call
	heard  bool // by the client
	serial string
}

// A storedDelivery is a certificate that counts as delivered in storage.
type storedDelivery struct {
	moment
	serial string
	by     *call // the call whose answer contained it
}

// An undone delivery counted for some time, until Vault handed its lease back.
type undone struct{ from, until moment }

// seemedHanded reports whether an order's certificate counted as delivered at a moment, although it
// has not reached its caller. Vault hands back a lease that it could not store shortly after the
// answer: a request in between that accepts no certificate delivered before buys another one (ADR
// 0010). So does one that accepts none delivered longer ago than window, when a crash has put off
// that the delivery is undone.
func (b *books) seemedHanded(number string, at moment, window time.Duration) bool {
	return slices.ContainsFunc(b.takenBack[number], func(u undone) bool {
		return !at.true.Before(u.from.true.Add(window)) && !at.true.After(u.until.true)
	})
}

// The books record purchases, certificates and requests while a history runs.
type books struct {
	world *world

	mu        sync.Mutex
	purchases map[string]*purchase
	markers   []string // in the order of their first attempt
	orders    int      // number of orders at the CA, updated once there are suspiciously many

	handovers []handover
	// closedAt is when it was decided to close orders, by role and id.
	closedAt map[string]time.Time
	// delivered is when storage first recorded that a certificate is delivered, by the order's
	// number at the CA.
	delivered map[string]storedDelivery
	// stamped is the time of the latest answer with an order's certificate, as stored and by the
	// plugin's clock. It is stored before the answer is given, so only the process that answers
	// knows how long storage took.
	stamped map[string]time.Time
	rests   map[string]*rest // by serial, with dashes
	// takenBack are the deliveries that turned out not to have reached their callers, by the same
	// number.
	takenBack map[string][]undone
	asked     map[string]time.Time // first request to end a certificate or order, by serial or id
	revoked   map[string]time.Time // first answer that it is or will be revoked, by serial
	told      map[string]string    // the requester that was told of an order, by its id
	overSince map[string]time.Time // end of the last lease on a certificate, by serial
	// unverified has CERTInext's orders, by number, that an operator assigned to an order of the
	// mount when the report did not show them.
	unverified map[string]bool
	// settled has the orders, by marker, that an operator declared never placed, or to be another
	// order, although CERTInext has them.
	settled map[string]bool
	// typed has the numbers that an operator has given orders of the mount.
	typed map[string]bool
	// impostors say since when CERTInext delivers a certificate for another key only, by the
	// order's number.
	impostors map[string]impostor
}

func newBooks() *books {
	return &books{
		purchases:  make(map[string]*purchase),
		delivered:  make(map[string]storedDelivery),
		stamped:    make(map[string]time.Time),
		rests:      make(map[string]*rest),
		takenBack:  make(map[string][]undone),
		asked:      make(map[string]time.Time),
		revoked:    make(map[string]time.Time),
		told:       make(map[string]string),
		overSince:  make(map[string]time.Time),
		unverified: make(map[string]bool),
		settled:    make(map[string]bool),
		typed:      make(map[string]bool),
		impostors:  make(map[string]impostor),
		closedAt:   make(map[string]time.Time),
	}
}

// closes records that the engine has decided to close an order, when key is that of its record,
// whether or not storage takes it.
func (b *books) closes(key string) {
	id, closed := strings.CutPrefix(key, "order/closed/")
	if !closed {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closedAt[id].IsZero() {
		b.closedAt[id] = time.Now()
	}
}

// closedBefore reports whether it was decided before a moment to close an order, by role and id.
func (b *books) closedBefore(id string, at time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	closed := b.closedAt[id]
	return !closed.IsZero() && closed.Before(at)
}

// forgetClosing is called when a snapshot is restored.
func (b *books) forgetClosing() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.closedAt)
}

// attempted records that an order is stored and will be sent.
func (b *books) attempted(marker, id string, c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.purchases[marker] == nil {
		if paused := b.world.pausedAt; c != nil && !paused.IsZero() && c.started.After(paused) {
			b.world.violate("money/paused",
				"%s was about to buy although ordering is paused since %s", c.what, paused)
		}
		b.purchases[marker] = &purchase{marker: marker, id: id, call: c}
		b.markers = append(b.markers, marker)
	}
}

// arrived records that CERTInext has received an order.
func (b *books) arrived(marker string, by *call) {
	b.mu.Lock()
	p := b.purchases[marker]
	background := by == nil || by.op == logical.RollbackOperation
	if background && len(p.arrived) == 0 && madeAhead(b.world, marker) == nil &&
		b.world.manners.Dialect != certinexttest.Documented {
		b.world.violate("money/background",
			"the background pass placed an order that no request waits for: %s", marker)
	}
	p.arrived = append(p.arrived, b.world.moment())
	n := len(b.markers)
	b.mu.Unlock()
	if n > mostOrders {
		b.orders = len(b.world.ca.Orders())
	}
}

// stored records a change of storage.
func (b *books) stored(ctx context.Context, key string, value []byte) {
	if strings.HasPrefix(key, "order/open/") && value != nil {
		b.attempted(markerText.FindString(string(value)), path.Base(key), callOf(ctx))
	}
	if value == nil || !strings.HasPrefix(key, "cert/") {
		return
	}
	judgeWhole(b.world, key, value)
	c := new(storedCert)
	if json.Unmarshal(value, c) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.noteRest(c)
	if c.Delivery != nil {
		b.stamped[c.CAOrderID] = c.Delivery.Last
	}
	switch known := b.delivered[c.CAOrderID]; {
	case c.Delivery == nil && known.serial == c.Serial:
		delete(b.delivered, c.CAOrderID) // it has not reached its caller after all
		b.takenBack[c.CAOrderID] = append(b.takenBack[c.CAOrderID],
			undone{known.moment, b.world.moment()})
	case c.Delivery != nil && known.zero() && !c.Imported: // which nobody was handed here
		b.delivered[c.CAOrderID] = storedDelivery{b.world.moment(), c.Serial, callOf(ctx)}
	}
}

// ask records that the end of a certificate or an order was requested.
func (b *books) ask(names ...string) {
	for _, name := range names {
		if name != "" && b.asked[name].IsZero() {
			b.asked[name] = time.Now()
		}
	}
}

// leaseOver records that Vault has begun to end a lease. If it is the last one, its certificate may
// be revoked from then on.
func (b *books) leaseOver(l *lease) {
	for _, other := range b.world.vault.of(l.serial) {
		if other.live() {
			return
		}
	}
	if b.overSince[l.serial].IsZero() {
		b.overSince[l.serial] = time.Now()
	}
}

// markerIn returns the marker of an order in CERTInext's books.
func markerIn(o certinexttest.OrderRecord) string {
	for _, tag := range o.Tags {
		if strings.HasPrefix(tag, "vault-order:") {
			return tag
		}
	}
	return markerText.FindString(o.Remarks)
}

// plain returns a serial number as it is written in CERTInext's books.
func plain(serial string) string {
	return strings.TrimLeft(strings.NewReplacer(":", "", "-", "").Replace(serial), "0")
}

// paid reports whether an order was placed: a draft costs nothing.
func paid(o certinexttest.OrderRecord) bool {
	return o.ID != "" && o.Status != "draft"
}

// bySerial returns the CA's order of a certificate; nil if there is none.
func bySerial(orders []certinexttest.OrderRecord, serial string) *certinexttest.OrderRecord {
	for i := range orders {
		if slices.Contains(orders[i].Serials, plain(serial)) {
			return &orders[i]
		}
	}
	return nil
}
