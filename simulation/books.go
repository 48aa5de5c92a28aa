// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// A purchase is an order as the wire saw it: the create calls with one marker.
type purchase struct {
	marker  string
	call    *call // that it was first sent for; nil when nobody asked
	arrived []moment
}

// A moment is a time by the true clock, by the plugin's, which may be wrong, and the latest that that one has shown by then: what
// was over by it once does not begin again when it is put right.
type moment struct{ true, plugin, latest time.Time }

func (w *world) moment() moment {
	now := w.pluginNow()
	w.latestMu.Lock()
	defer w.latestMu.Unlock()
	if now.After(w.latest) {
		w.latest = now
	}
	return moment{time.Now(), now, w.latest}
}

// within reports whether a moment is no more than a while after another one, by all clocks: how long the plugin waits for
// something, it measures by its own.
func (m moment) within(d time.Duration, after moment) bool {
	return !m.true.After(after.true.Add(d)) && !m.plugin.After(after.plugin.Add(d)) && !m.latest.After(after.latest.Add(d))
}

// before reports whether a moment came before another one, by all clocks.
func (m moment) before(other moment) bool {
	return m.true.Before(other.true) && m.plugin.Before(other.plugin) && m.latest.Before(other.latest)
}

// withinAnswer reports whether a moment is no more than a while after the plugin's answer to a call, whenever it may have looked at its clock
// for that.
func (m moment) withinAnswer(d time.Duration, at moment, by *call) bool {
	return m.within(d, at) && m.within(d, at.stamped(by))
}

// stamped is the earliest moment that the plugin may have taken for m, at which the answer of a call came: where its
// clock has leapt meanwhile, it may have looked before.
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

// A handover is an answer that held a certificate.
type handover struct {
	at     moment
	call   *call
	heard  bool // by the client
	serial string
}

// A storedDelivery is a certificate that counts as handed over in storage.
type storedDelivery struct {
	moment
	serial string
	by     *call // whose answer that was to be
}

// An undone delivery counted for a while.
type undone struct{ from, until moment }

// seemedHanded reports whether an order's certificate counted as handed over at a moment, although it has reached nobody. Vault hands back what it
// could not store a moment after the answer: who asks in between, and wants nothing that was handed over before, is sold another one.
func (b *books) seemedHanded(number string, at moment) bool {
	return slices.ContainsFunc(b.takenBack[number], func(u undone) bool { return !at.true.Before(u.from.true) && !at.true.After(u.until.true) })
}

// The books are what is written down of money, certificates and wishes while a history runs.
type books struct {
	world *world

	mu        sync.Mutex
	purchases map[string]*purchase
	markers   []string // in their order
	orders    int      // at the CA, or a few fewer

	handovers []handover
	// delivered is when storage was first told that a certificate is handed over, by its order's number at the CA.
	delivered map[string]storedDelivery
	// stamped is when the latest answer with an order's certificate went out, by the word of storage and the plugin's clock: storage is told
	// before the answer, and only the process that gives it knows how slow storage was.
	stamped map[string]time.Time
	// takenBack are those that turned out to have reached nobody, by the same number, and until when they counted.
	takenBack map[string][]undone
	asked     map[string]time.Time // when somebody first asked for the end of a certificate or order, by serial number or id
	revoked   map[string]time.Time // when somebody was told that a certificate is revoked, or is to be, by its serial number
	told      map[string]string    // who was told of an order, by its id
	overSince map[string]time.Time // when the last lease on a certificate ended, by its serial number
	word      map[string]bool      // orders, by number, that an operator gave to another one while nobody could look
	settled   map[string]bool      // orders, by marker, that somebody declared never placed, or to be another one, although CERTInext has them
}

func newBooks() *books {
	return &books{
		purchases: make(map[string]*purchase), delivered: make(map[string]storedDelivery), stamped: make(map[string]time.Time), takenBack: make(map[string][]undone), asked: make(map[string]time.Time),
		revoked: make(map[string]time.Time), told: make(map[string]string), overSince: make(map[string]time.Time), settled: make(map[string]bool), word: make(map[string]bool),
	}
}

// attempted notes that an order is stored, and so about to be sent.
func (b *books) attempted(marker string, c *call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.purchases[marker] == nil {
		if paused := b.world.pausedAt; c != nil && !paused.IsZero() && c.started.After(paused) {
			b.world.violate("money/paused", "%s was to buy although ordering is paused since %s", c.what, paused)
		}
		b.purchases[marker] = &purchase{marker: marker, call: c}
		b.markers = append(b.markers, marker)
	}
}

// arrived notes that CERTInext has heard of an order.
func (b *books) arrived(marker string, by *call) {
	b.mu.Lock()
	p := b.purchases[marker]
	if background := by == nil || by.op == logical.RollbackOperation; background && len(p.arrived) == 0 && b.world.manners.Dialect != certinexttest.Documented {
		b.world.violate("money/background", "the background has bought what nobody waits for: %s", marker)
	}
	p.arrived = append(p.arrived, b.world.moment())
	n := len(b.markers)
	b.mu.Unlock()
	if n > mostOrders {
		b.orders = len(b.world.ca.Orders())
	}
}

// stored takes in a change of storage.
func (b *books) stored(ctx context.Context, key string, value []byte) {
	if strings.HasPrefix(key, "order/open/") && value != nil {
		b.attempted(markerText.FindString(string(value)), callOf(ctx))
	}
	if value == nil || !strings.HasPrefix(key, "cert/") {
		return
	}
	c := new(storedCert)
	if json.Unmarshal(value, c) != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.Delivery != nil {
		b.stamped[c.CAOrderID] = c.Delivery.Last
	}
	switch known := b.delivered[c.CAOrderID]; {
	case c.Delivery == nil && known.serial == c.Serial:
		delete(b.delivered, c.CAOrderID) // nobody has got it after all
		b.takenBack[c.CAOrderID] = append(b.takenBack[c.CAOrderID], undone{known.moment, b.world.moment()})
	case c.Delivery != nil && known.zero():
		b.delivered[c.CAOrderID] = storedDelivery{b.world.moment(), c.Serial, callOf(ctx)}
	}
}

// ask notes that somebody wants the end of a certificate or an order.
func (b *books) ask(names ...string) {
	for _, name := range names {
		if name != "" && b.asked[name].IsZero() {
			b.asked[name] = time.Now()
		}
	}
}

// leaseOver notes that Vault has begun to end a lease, when it is the last one: its certificate may go from then on.
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

// A storedCert is what the engine has stored of a certificate, as far as the books are concerned.
type storedCert struct {
	Serial    string `json:"serial"`
	Role      string `json:"role"`
	Requester string `json:"requester"`
	OrderID   string `json:"order_id"`
	CAOrderID string `json:"ca_order_id"`
	Imported  bool   `json:"imported"`

	Leases   map[string]time.Time `json:"leases"`
	Delivery *struct {
		At   time.Time `json:"at"`
		Last time.Time `json:"last"`
	} `json:"delivery"`
	Revocation *struct {
		At time.Time `json:"at"`
	} `json:"revocation"`
}

// A storedOrder is what the engine has stored of an order.
type storedOrder struct {
	ID         string `json:"id"`
	Role       string `json:"role"`
	Requester  string `json:"requester"`
	State      string `json:"state"`
	CAOrderID  string `json:"ca_order_id"`
	PrivateKey string `json:"private_key"`
	Delivered  bool   `json:"delivered"`
	Placement  struct {
		Remarks string `json:"remarks"`
	} `json:"placement"`
	LastError string `json:"last_error"`

	open bool
}

func (o *storedOrder) marker() string { return markerText.FindString(o.Placement.Remarks) }

// storedOrders reads the orders, by id. One that closing has left among the open ones, too, is closed.
func (w *world) storedOrders() []*storedOrder {
	var out []*storedOrder
	known := make(map[string]bool)
	for _, folder := range []string{"order/closed/", "order/open/"} {
		for _, key := range w.disk.under(folder) {
			o := new(storedOrder)
			if err := json.Unmarshal(w.disk.entries[key], o); err != nil {
				w.violate("record/unreadable", "%s: %v", key, err)
				continue
			}
			o.open = folder == "order/open/"
			if !known[o.ID] {
				out = append(out, o)
			}
			known[o.ID] = true
		}
	}
	return out
}

// storedOrder reads an order; nil when there is none.
func (w *world) storedOrder(id string) *storedOrder {
	all := w.storedOrders()
	if i := slices.IndexFunc(all, func(o *storedOrder) bool { return o.ID == id }); i >= 0 {
		return all[i]
	}
	return nil
}

// storedCert reads a certificate; nil when there is none.
func (w *world) storedCert(serial string) *storedCert {
	c := new(storedCert)
	if json.Unmarshal(w.disk.entries["cert/"+strings.ReplaceAll(serial, ":", "-")], c) != nil {
		return nil
	}
	return c
}

func (w *world) storedCerts() []*storedCert {
	var out []*storedCert
	for _, key := range w.disk.under("cert/") {
		c := new(storedCert)
		if err := json.Unmarshal(w.disk.entries[key], c); err != nil {
			w.violate("record/unreadable", "%s: %v", key, err)
			continue
		}
		out = append(out, c)
	}
	return out
}

// markerIn is the marker that an order carries in CERTInext's books.
func markerIn(o certinexttest.OrderRecord) string {
	for _, tag := range o.Tags {
		if strings.HasPrefix(tag, "vault-order:") {
			return tag
		}
	}
	return markerText.FindString(o.Remarks)
}

// plain is a serial number as CERTInext's books have it.
func plain(serial string) string {
	return strings.TrimLeft(strings.NewReplacer(":", "", "-", "").Replace(serial), "0")
}

// paid reports whether an order costs money: drafts and what was cancelled or rejected do not.
func paid(o certinexttest.OrderRecord) bool {
	return o.ID != "" && o.Status != "draft"
}

// bySerial finds the CA's order of a certificate.
func bySerial(orders []certinexttest.OrderRecord, serial string) *certinexttest.OrderRecord {
	for i := range orders {
		if slices.Contains(orders[i].Serials, plain(serial)) {
			return &orders[i]
		}
	}
	return nil
}
