// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A storedOrder is what the engine has stored of an order, as far as the books are concerned.
type storedOrder struct {
	ID         string        `json:"id"`
	Role       string        `json:"role"`
	Requester  string        `json:"requester"`
	RequestID  string        `json:"request_id"`
	State      string        `json:"state"`
	CAOrderID  string        `json:"ca_order_id"`
	PrivateKey string        `json:"private_key"`
	CSR        string        `json:"csr"`
	Grace      time.Duration `json:"grace"`
	Placement  struct {
		DNSNames       []string `json:"dns_names"`
		IdempotencyKey string   `json:"idempotency_key"`
	} `json:"placement"`
	LastError string `json:"last_error"`

	open bool // has not been closed
}

func (o *storedOrder) marker() string { return "vault-order:" + o.Placement.IdempotencyKey }

func (o *storedOrder) String() string {
	return fmt.Sprintf("order %s (%s/%s, %s, CA order %q)", o.ID, o.Role, o.Placement.DNSNames[0], o.State, o.CAOrderID)
}

// A storedCert is what the engine has stored of a certificate.
type storedCert struct {
	Serial    string    `json:"serial"`
	OrderID   string    `json:"order_id"`
	CAOrderID string    `json:"ca_order_id"`
	Role      string    `json:"role"`
	Requester string    `json:"requester"`
	NotAfter  time.Time `json:"not_after"`
	Delivery  *struct {
		At time.Time `json:"at"`
	} `json:"delivery"`
	Leases     map[string]time.Time `json:"leases"`
	Revocation *struct {
		At time.Time `json:"at"`
	} `json:"revocation"`
}

// A storedRevocation is an entry of the queue.
type storedRevocation struct {
	Due       bool      `json:"due"`
	Next      time.Time `json:"next"`
	LastError string    `json:"last_error"`
}

// books are what everybody has written down.
type books struct {
	ca     []certinexttest.OrderRecord
	orders map[string]*storedOrder // by id
	certs  map[string]*storedCert  // by serial number as in the CA's books
	queue  map[string]*storedRevocation
	listed []string        // what certinext/certs lists, as in the CA's books
	leases map[string]bool // that Vault knows, by id
	inside map[string]bool // the same by the engine's own id
}

// stored reads the entries below a folder, but for those that skip names by the last part of their key.
func stored[T any](c *chaos, folder string, skip map[string]bool, each func(key string, value *T)) {
	c.t.Helper()
	for _, key := range c.v.list(c.raw + folder) {
		switch {
		case strings.HasSuffix(key, "/"):
			stored(c, folder+key, skip, each)
			continue
		case skip[key]:
			continue
		}
		resp, err := c.v.api.Logical().ReadWithContext(c.t.Context(), c.raw+folder+key)
		require.NoError(c.t, err)
		if resp == nil {
			continue // it has gone since it was listed
		}
		value, text := new(T), ""
		text, _ = resp.Data["value"].(string)
		require.NoError(c.t, json.Unmarshal([]byte(text), value), "%s does not parse", folder+key)
		each(folder+key, value)
	}
}

func (c *chaos) storedOrders(folder string, skip map[string]bool) map[string]*storedOrder {
	out := make(map[string]*storedOrder)
	stored(c, folder, skip, func(key string, o *storedOrder) {
		o.open = strings.HasPrefix(key, "order/open/")
		if before := out[o.ID]; before != nil && !before.open {
			return // closing it was cut short between its two writes
		}
		out[o.ID] = o
	})
	return out
}

// byMarker are the CA's orders by the tag that says whose they are.
func byMarker(ca []certinexttest.OrderRecord) map[string][]certinexttest.OrderRecord {
	out := make(map[string][]certinexttest.OrderRecord)
	for _, o := range ca {
		for _, tag := range o.Tags {
			if strings.HasPrefix(tag, "vault-order:") {
				out[tag] = append(out[tag], o)
			}
		}
	}
	return out
}

// settle does what an operator does: it looks up in the CA's books the orders that could not be found out about, and says
// what it has found. It returns how many it has to come back for.
func (c *chaos) settle() int {
	again, known := 0, byMarker(c.ca.Orders())
	for _, o := range c.storedOrders("order/open/", c.taken) {
		if o.State != "unresolved" && o.State != "placing" {
			continue
		}
		data, how := map[string]any{"never_placed": true}, "never placed"
		if found := known[o.marker()]; len(found) > 0 {
			data, how = map[string]any{"ca_order_id": found[0].ID}, "found at the CA"
		}
		again++
		_, err := c.v.send("certinext/orders/"+o.Role+"/"+o.ID, data)
		switch {
		case err == nil:
			c.tally.add("by hand", how, 1)
		case !isRefusal(err):
			c.wrong("%s: settling it by hand: %v", o, err)
		}
	}
	return again
}

// clearUp has every order that is still open collected, or cancelled, by its own requester, although the client that asked for
// it does not care any more. It returns how many there are.
func (c *chaos) clearUp() int {
	stored(c, "cert/", c.taken, func(key string, crt *storedCert) {
		if crt.Delivery != nil && crt.Revocation == nil {
			c.taken[crt.OrderID], c.taken[strings.TrimPrefix(key, "cert/")] = true, true
		}
	})
	left := c.storedOrders("order/open/", c.taken)
	for _, o := range left {
		k := c.requester(o.Requester)
		if k == nil {
			c.wrong("%s: its requester %s is none of the clients", o, o.Requester)
			continue
		}
		w := &wish{client: k, verb: "order", role: o.Role, cn: o.Placement.DNSNames[0], order: o.ID, lost: 1}
		w.cancel = strings.HasSuffix(w.cn, unproven)
		if o.PrivateKey == "" {
			w.key, w.csr = k.keyOf(o.CSR), o.CSR
		}
		c.tally.add("calls", "for those who left", 1)
		k.next(w, false)
	}
	return len(left)
}

// requester finds the client behind a requester.
func (c *chaos) requester(name string) *chaosClient {
	if c.requesters[name] == nil {
		c.learn(c.storedOrders("order/", nil))
	}
	return c.requesters[name]
}

// learn finds out who the requesters of orders are, by the clients that were told of them: what batch tokens are known by is
// the engine's own.
func (c *chaos) learn(orders map[string]*storedOrder) {
	c.mu.Lock()
	told := maps.Clone(c.orders)
	c.mu.Unlock()
	for id, o := range orders {
		k, before := told[id], c.requesters[o.Requester]
		switch {
		case k == nil:
		case before != nil && before != k:
			c.wrong("%s is of %s, and was told to %s", o, before.name, k.name)
		default:
			c.requesters[o.Requester] = k
		}
	}
}

// drain revokes what is queued. It returns how many of those are left.
func (c *chaos) drain() int {
	left := 0
	stored(c, "revocation/", nil, func(key string, q *storedRevocation) {
		if !q.Due {
			return
		}
		left++
		c.tally.add("revocations", "from the queue", 1)
		if _, err := c.v.send("certinext/revoke", map[string]any{"serial_number": strings.TrimPrefix(key, "revocation/")}); err != nil {
			c.wrong("%s: revoking what was queued: %v", key, err)
		}
	})
	return left
}

// waitForPass waits for what Vault's own minute brings and nobody asks for: the keys of orders that were answered longer ago
// than their grace are erased. A pass does a bounded piece of work, so what is left after some of them has to be less.
func (c *chaos) waitForPass() {
	overdue := func() int {
		n := 0
		for _, o := range c.storedOrders("order/open/hasty/", nil) {
			if o.PrivateKey != "" {
				n++
			}
		}
		return n
	}
	before, left := overdue(), 0
	for range 15 {
		if left = overdue(); left == 0 {
			break
		}
		time.Sleep(10 * time.Second)
	}
	c.tally.add("keys", "beyond their grace when all was calm", before)
	c.tally.add("keys", "beyond their grace some minutes later", left)
	if left > 0 && left >= before {
		c.wrong("%d keys are beyond their grace, and the background has erased none of them", left)
	}
}

func (c *chaos) readBooks() *books {
	b := &books{
		ca: c.ca.Orders(), orders: c.storedOrders("order/", nil), certs: make(map[string]*storedCert),
		queue: make(map[string]*storedRevocation), leases: make(map[string]bool), inside: make(map[string]bool),
	}
	for _, serial := range c.v.list("certinext/certs") {
		b.listed = append(b.listed, plainSerial(serial))
	}
	stored(c, "cert/", nil, func(_ string, crt *storedCert) { b.certs[plainSerial(crt.Serial)] = crt })
	stored(c, "revocation/", nil, func(key string, q *storedRevocation) {
		b.queue[plainSerial(strings.TrimPrefix(key, "revocation/"))] = q
	})
	var walk func(folder string)
	walk = func(folder string) {
		for _, key := range c.v.list("sys/leases/lookup/" + folder) {
			if strings.HasSuffix(key, "/") {
				walk(folder + key)
				continue
			}
			b.leases[folder+key] = true
			if own := c.insideOf(folder + key); own != "" {
				b.inside[own] = true
			}
		}
	}
	walk("certinext/")
	return b
}

// insideOf reads the engine's own name for a lease.
func (c *chaos) insideOf(lease string) string {
	resp, err := c.v.api.Logical().ReadWithContext(c.t.Context(), "sys/raw/sys/expire/id/"+lease)
	require.NoError(c.t, err)
	if resp == nil {
		return ""
	}
	var entry struct {
		Secret struct {
			InternalData struct {
				Lease string `json:"lease"`
			} `json:"internal_data"`
		} `json:"secret"`
	}
	text, _ := resp.Data["value"].(string)
	require.NoError(c.t, json.Unmarshal([]byte(text), &entry))
	return entry.Secret.InternalData.Lease
}

// compare holds the books against each other, line by line.
func (c *chaos) compare(b *books) {
	mine := byMarker(b.ca)
	c.compareCA(b, mine)
	c.compareOrders(b, mine)
	c.compareRequests(b)
	c.compareCertificates(b)
	c.compareHandovers(b)
	c.compareLeases(b)
}

// compareCA looks at every order of the CA's: it is one of Vault's, the only one with that marker, and as far as there.
func (c *chaos) compareCA(b *books, mine map[string][]certinexttest.OrderRecord) {
	orders := make(map[string]*storedOrder)
	for _, o := range b.orders {
		orders[o.marker()] = o
	}
	byOrder := make(map[string]*storedCert)
	for _, crt := range b.certs {
		byOrder[crt.OrderID] = crt
	}
	c.tally.add("CA", "orders", len(b.ca))
	c.tally.add("CA", "orphans", 0)
	c.tally.add("CA", "duplicates", 0)
	for _, r := range b.ca {
		c.tally.add("CA", r.Status, 1)
		var o *storedOrder
		for _, tag := range r.Tags {
			if orders[tag] != nil {
				o = orders[tag]
			}
		}
		switch {
		case o == nil:
			c.tally.add("CA", "orphans", 1)
			c.wrong("CA order %s for %s is unknown to Vault (orphan): tags %v", r.ID, r.Domain, r.Tags)
			continue
		case len(mine[o.marker()]) > 1:
			c.tally.add("CA", "duplicates", 1)
			c.wrong("CA order %s is one of %d for %s (duplicate)", r.ID, len(mine[o.marker()]), o)
		case o.CAOrderID != r.ID:
			c.wrong("CA order %s carries the marker of %s, which does not know it", r.ID, o)
		case !strings.Contains(r.Remarks, o.marker()):
			c.wrong("CA order %s of %s does not name it in its remarks %q", r.ID, o, r.Remarks)
		case r.Domain != o.Placement.DNSNames[0]:
			c.wrong("CA order %s is for %s, %s is not", r.ID, r.Domain, o)
		case r.ReusedKey && !c.broughtKey(o):
			c.wrong("CA order %s of %s is for a key that was certified before", r.ID, o)
		}
		crt := byOrder[o.ID]
		switch {
		case r.Status == "issued" && (crt == nil || crt.Revocation != nil),
			r.Status == "revoked" && (crt == nil && o.State != "revoked" || crt != nil && crt.Revocation == nil && b.queue[plainSerial(crt.Serial)] == nil),
			r.Status == "cancelled" && o.State != "cancelled",
			!slices.Contains([]string{"issued", "revoked", "cancelled"}, r.Status):
			c.wrong("CA order %s is %s, %s is not: certificate %+v, last error %q", r.ID, r.Status, o, crt, o.LastError)
		}
	}
}

// broughtKey reports whether the requester made the key of an order.
func (c *chaos) broughtKey(o *storedOrder) bool {
	for _, k := range c.clients {
		if k.keyOf(o.CSR) != nil {
			return true
		}
	}
	return false
}

// compareOrders looks at every order of Vault's: what it says of the CA is so, and it keeps no key that it need not.
func (c *chaos) compareOrders(b *books, mine map[string][]certinexttest.OrderRecord) {
	certs := make(map[string]*storedCert)
	for _, crt := range b.certs {
		certs[crt.OrderID] = crt
	}
	for _, o := range b.orders {
		c.tally.add("orders", o.State, 1)
		if o.CAOrderID != "" && len(mine[o.marker()]) == 0 {
			c.wrong("%s: the CA has no such order", o)
		}
		if o.State == "failed" && len(mine[o.marker()]) > 0 {
			c.wrong("%s counts as never placed, and the CA has it as %s", o, mine[o.marker()][0].ID)
		}
		if o.State == "placing" || o.State == "unresolved" {
			c.wrong("%s was not settled", o)
		}
		if o.PrivateKey == "" {
			continue
		}
		c.tally.add("keys", "in storage at the end", 1)
		crt := certs[o.ID]
		switch {
		case !o.open, slices.Contains([]string{"failed", "cancelled", "rejected", "expired", "revoked"}, o.State):
			c.wrong("%s is over and its key is stored", o)
		case crt == nil || crt.Delivery == nil:
			c.wrong("%s was not handed over to anybody", o)
		case crt.Revocation != nil:
			c.wrong("%s: its certificate %s is revoked and its key is stored", o, crt.Serial)
		}
	}
}

// compareRequests looks at what was wanted: nothing was bought twice.
func (c *chaos) compareRequests(b *books) {
	type request struct{ requester, cn, id string }
	var (
		bought  = make(map[request][]*storedOrder)
		wanted  = make(map[request]int)
		missing = make(map[request]int) // answers that may have been lost
		names   = make(map[*chaosClient]string)
		certs   = make(map[string]*storedCert)
	)
	for _, crt := range b.certs {
		certs[crt.OrderID] = crt
	}
	c.learn(b.orders)
	for requester, k := range c.requesters {
		if before := names[k]; before != "" {
			c.wrong("%s is two requesters, %s and %s", k.name, before, requester)
		}
		names[k] = requester
	}
	for _, k := range c.clients {
		for _, w := range k.wishes {
			r := request{names[k], w.cn, w.id}
			wanted[r]++
			missing[r] += w.lost
			if w.refused != "" {
				c.tally.add("requests", "refused for good", 1)
			} else if w.serial != "" {
				c.tally.add("requests", "granted", 1)
			} else if w.given {
				c.tally.add("requests", "given up", 1)
			} else if w.cancelled {
				c.tally.add("requests", "cancelled", 1)
			}
		}
	}
	for _, o := range b.orders {
		if o.CAOrderID != "" {
			r := request{o.Requester, o.Placement.DNSNames[0], o.RequestID}
			bought[r] = append(bought[r], o)
		}
	}
	c.tally.add("keys", "lost with their answer", 0)
	for r, orders := range bought {
		most := wanted[r]
		if r.id != "" {
			most = 1
		}
		for _, o := range orders {
			crt := certs[o.ID]
			switch {
			case o.State == "cancelled", crt == nil:
				most++ // it ended without a certificate, so it may be followed by another
			case c.held[colons(crt.Serial)] == nil:
				// Nobody has its key: its answer was given and did not arrive.
				if crt.Delivery == nil || missing[r] == 0 {
					c.wrong("%s: nobody has its certificate %s, and no answer was lost (lost key)", o, crt.Serial)
					continue
				}
				c.tally.add("keys", "lost with their answer", 1)
				if r.id == "" {
					most++
				}
			}
		}
		if len(orders) > most {
			c.tally.add("CA", "duplicates", len(orders)-most)
			ids := make([]string, 0, len(orders))
			for _, o := range orders {
				ids = append(ids, o.String())
			}
			c.wrong("%s wanted %s %d times (name %q, %d answers lost) and has bought %d (duplicate): %s",
				c.requesters[r.requester].label(), r.cn, wanted[r], r.id, missing[r], len(orders), strings.Join(ids, "; "))
		}
	}
}

func (k *chaosClient) label() string {
	if k == nil {
		return "somebody"
	}
	return k.name
}

// keyOf finds the wish whose CSR it is.
func (k *chaosClient) keyOf(csr string) *ecdsa.PrivateKey {
	for _, w := range k.wishes {
		if w.csr != "" && strings.TrimSpace(w.csr) == strings.TrimSpace(csr) {
			return w.key
		}
	}
	return nil
}

func colons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }

// compareCertificates looks at every certificate that the CA has issued or Vault has stored.
func (c *chaos) compareCertificates(b *books) {
	issued := make(map[string]certinexttest.OrderRecord)
	for _, r := range b.ca {
		for _, serial := range r.Serials {
			issued[plainSerial(serial)] = r
		}
	}
	for serial, r := range issued {
		if !slices.Contains(b.listed, serial) && r.Status == "issued" {
			c.wrong("certificate %s of CA order %s is not in certs", serial, r.ID)
		}
	}
	for serial, crt := range b.certs {
		r, ok := issued[serial]
		switch {
		case !ok:
			c.wrong("certificate %s of order %s is not the CA's", serial, crt.OrderID)
		case r.ID != crt.CAOrderID:
			c.wrong("certificate %s of order %s is of CA order %s, not of %s", serial, crt.OrderID, r.ID, crt.CAOrderID)
		case crt.Revocation != nil && r.Status != "revoked":
			c.wrong("certificate %s of order %s counts as revoked, its CA order %s is %s", serial, crt.OrderID, r.ID, r.Status)
		}
		if crt.Revocation != nil {
			c.tally.add("revocations", "done", 1)
		}
		if !slices.Contains(b.listed, serial) {
			c.wrong("certificate %s of order %s is stored and not in certs", serial, crt.OrderID)
		}
	}
	for _, q := range b.queue {
		name := "queued for when the last lease ends"
		if q.Due {
			name = "queued"
		}
		c.tally.add("revocations", name, 1)
	}
}

// compareHandovers looks at what clients have got: it is one client's, stored, and the order's requester is that client.
func (c *chaos) compareHandovers(b *books) {
	keys := make(map[string]string)
	for serial, h := range c.held {
		what := fmt.Sprintf("certificate %s of order %s", serial, h.order)
		if len(h.owners) != 1 {
			c.wrong("%s was handed over to %d clients", what, len(h.owners))
		}
		if other := keys[h.keyPEM]; h.keyPEM != "" && other != "" {
			c.wrong("%s has the key of certificate %s", what, other)
		}
		keys[h.keyPEM] = serial
		crt, o := b.certs[plainSerial(serial)], b.orders[h.order]
		switch {
		case crt == nil:
			c.wrong("%s was handed over and is not stored", what)
		case o == nil:
			c.wrong("%s was handed over, and Vault has no such order", what)
		case crt.Delivery == nil:
			c.wrong("%s was handed over and does not count as that", what)
		case crt.OrderID != h.order, c.requesters[o.Requester] != h.owners[0]:
			c.wrong("%s was handed over to %s; it is stored as of order %s by %s", what, h.owners[0].name, crt.OrderID, o.Requester)
		case h.revoked && crt.Revocation == nil:
			c.wrong("%s was revoked by %s and is not", what, h.owners[0].name)
		}
	}
}

// compareLeases looks at every lease: when it is over, its certificate is revoked, or will be.
func (c *chaos) compareLeases(b *books) {
	c.tally.add("leases", "unknown to Vault", 0)
	for serial, h := range c.held {
		crt := b.certs[plainSerial(serial)]
		if crt == nil || len(h.leases) == 0 {
			continue
		}
		alive := slices.ContainsFunc(h.leases, func(l string) bool { return b.leases[l] })
		for _, l := range h.leases {
			if !b.leases[l] {
				c.tally.add("leases", "over", 1)
			} else {
				c.tally.add("leases", "alive", 1)
				if slices.Contains(h.ended, l) {
					c.wrong("lease %s of certificate %s, order %s, was ended and is still there", l, serial, h.order)
				}
			}
		}
		if !alive && crt.Revocation == nil && b.queue[plainSerial(serial)] == nil && crt.NotAfter.After(time.Now()) {
			c.wrong("the leases of certificate %s, order %s, CA order %s, are over; it is neither revoked nor queued", serial, h.order, crt.CAOrderID)
		}
	}
	for serial, crt := range b.certs {
		over := len(crt.Leases) > 0
		for id, end := range crt.Leases {
			if !b.inside[id] {
				c.tally.add("leases", "unknown to Vault", 1)
			}
			over = over && time.Now().After(end.Add(2*time.Minute))
		}
		if over && crt.Revocation == nil && b.queue[serial] == nil {
			c.wrong("certificate %s, order %s, CA order %s: the last lease that the engine knows of is over; it is neither revoked nor queued", serial, crt.OrderID, crt.CAOrderID)
		}
	}
}
