// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

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
	orders, certs := make(map[string]*storedOrder), b.certsByOrder()
	for _, o := range b.orders {
		orders[o.marker()] = o
	}
	c.tally.add("CA", "orders", len(b.ca))
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
			c.found(orphan, "CA order %s for %s is unknown to Vault: tags %v", r.ID, r.Domain, r.Tags)
			continue
		case o.CAOrderID != r.ID && len(mine[o.marker()]) > 1:
			c.found(duplicate, "CA order %s is one of %d for %s\n%s", r.ID, len(mine[o.marker()]), o, o.history())
			continue
		case o.CAOrderID != r.ID:
			c.found(orphan, "CA order %s carries the marker of %s, which does not know it\n%s", r.ID, o, o.history())
			continue
		case !strings.Contains(r.Remarks, o.marker()):
			c.wrong("CA order %s of %s does not name it in its remarks %q", r.ID, o, r.Remarks)
		case r.Domain != o.Placement.DNSNames[0]:
			c.wrong("CA order %s is for %s, %s is not", r.ID, r.Domain, o)
		case r.ReusedKey && !c.broughtKey(o):
			c.wrong("CA order %s of %s is for a key that was certified before", r.ID, o)
		}
		if crt := certs[o.ID]; !agree(r, o, crt, b) {
			c.wrong("CA order %s is %s, %s is not: certificate %+v, last error %q\n%s", r.ID, r.Status, o, crt, o.LastError, o.history())
		}
	}
}

// agree reports whether an order is as far with us as it is at the CA.
func agree(r certinexttest.OrderRecord, o *storedOrder, crt *storedCert, b *books) bool {
	switch r.Status {
	case "issued":
		return crt != nil && crt.Revocation == nil
	case "revoked":
		if crt == nil {
			return o.State == "revoked"
		}
		return crt.Revocation != nil || b.queue[plainSerial(crt.Serial)] != nil
	case "cancelled":
		return o.State == "cancelled"
	}
	return false // nothing is under way any more
}

// certsByOrder are the certificates by the id of their order.
func (b *books) certsByOrder() map[string]*storedCert {
	out := make(map[string]*storedCert)
	for _, crt := range b.certs {
		out[crt.OrderID] = crt
	}
	return out
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
	certs := b.certsByOrder()
	for _, o := range b.orders {
		c.tally.add("orders", o.State, 1)
		if o.CAOrderID != "" && len(mine[o.marker()]) == 0 {
			c.wrong("%s: the CA has no such order", o)
		}
		if o.State == "failed" && len(mine[o.marker()]) > 0 {
			c.found(orphan, "%s counts as never placed, and the CA has it as %s\n%s", o, mine[o.marker()][0].ID, o.history())
		}
		if o.State == "placing" || o.State == "unresolved" {
			c.wrong("%s was not settled\n%s", o, o.history())
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

// An asking is what makes two requests the same.
type asking struct{ requester, role, cn, id, csr string }

// compareRequests looks at what was wanted: nothing was bought twice, and whoever paid has the key.
func (c *chaos) compareRequests(b *books) {
	c.learn(b.orders)
	var (
		names  = c.namesOfClients()
		wanted = make(map[asking][]*wish)
		bought = make(map[asking][]*storedOrder)
		certs  = b.certsByOrder()
	)
	for _, k := range c.clients {
		for _, w := range k.wishes {
			a := asking{names[k], w.role, w.cn, w.id, strings.TrimSpace(w.csr)}
			wanted[a] = append(wanted[a], w)
			c.tally.add("requests", w.end(), 1)
		}
	}
	for _, o := range b.orders {
		if o.CAOrderID == "" {
			continue
		}
		a := asking{o.Requester, o.Role, o.Placement.DNSNames[0], o.RequestID, ""}
		if c.requesters[o.Requester].keyOf(o.CSR) != nil {
			a.csr = strings.TrimSpace(o.CSR)
		}
		bought[a] = append(bought[a], o)
	}
	for a, orders := range bought {
		most := len(wanted[a])
		if a.id != "" {
			most = min(most, 1)
		}
		for _, o := range orders {
			crt := certs[o.ID]
			switch {
			case o.State == "cancelled", crt == nil:
				most++ // it ended without a certificate, so it may be followed by another
			case c.held[colons(crt.Serial)] == nil:
				c.nobodyHas(o, crt, wanted[a])
				most++
			case a.id == "" && intoTheVoid(crt, wanted[a]):
				most++ // its requester has it by now, since the process has died, but asked for another one before
			}
		}
		if len(orders) > most {
			c.found(duplicate, "%s wanted %s %d times and has bought %d\n%s",
				c.requesters[a.requester].label(), a.cn, len(wanted[a]), len(orders), tell(orders, wanted[a]))
		}
	}
}

// namesOfClients are the names under which orders remember the clients.
func (c *chaos) namesOfClients() map[*chaosClient]string {
	names := make(map[*chaosClient]string)
	for requester, k := range c.requesters {
		if before := names[k]; before != "" {
			c.wrong("%s is two requesters, %s and %s", k.name, before, requester)
		}
		names[k] = requester
	}
	return names
}

// end is what became of a wish.
func (w *wish) end() string {
	switch {
	case w.refused != "":
		return "refused for good"
	case w.serial != "":
		return "granted"
	case w.cancelled:
		return "cancelled"
	case w.given:
		return "given up"
	}
	return "open"
}

// nobodyHas judges a certificate that was paid for and that no client has. The engine promises that an answer that did not
// arrive is given again, within the grace, where the request can be told from another one like it: by its name, or by the
// order that was collected. An unnamed request whose caller hangs up at the very last moment is the one that it cannot tell.
func (c *chaos) nobodyHas(o *storedOrder, crt *storedCert, wanted []*wish) {
	missing := 0
	for _, w := range wanted {
		missing += w.lost
	}
	known, brief := o.RequestID != "" || c.missed[o.ID], o.Grace < time.Minute
	if crt.Delivery == nil || missing == 0 || known && !brief {
		c.found(lostKey, "nobody has the certificate %s, revoked %t, of %s; %d answers were lost\n%s",
			crt.Serial, crt.Revocation != nil, o, missing, tell([]*storedOrder{o}, wanted))
		return
	}
	how := "of an unnamed request"
	if known {
		how = "and asked for again beyond the grace"
	}
	c.tally.add("hung up", "at the last moment, "+how, 1)
}

// intoTheVoid reports whether the answer with a certificate was given while its requester hung up.
func intoTheVoid(crt *storedCert, wanted []*wish) bool {
	if crt.Delivery == nil {
		return false
	}
	at := crt.Delivery.At
	return slices.ContainsFunc(wanted, func(w *wish) bool {
		return slices.ContainsFunc(w.voids, func(v [2]time.Time) bool { return at.After(v[0]) && at.Before(v[1]) })
	})
}

// tell tells the stories of orders, and of the wishes that they were for.
func tell(orders []*storedOrder, wanted []*wish) string {
	var out strings.Builder
	for _, o := range orders {
		fmt.Fprintf(&out, "    %s\n%s", o, o.history())
	}
	for _, w := range wanted {
		fmt.Fprintf(&out, "    %s: %s\n%s\n", w, w.end(), w.told())
	}
	return out.String()
}

func (k *chaosClient) label() string {
	if k == nil {
		return "somebody"
	}
	return k.name
}

// keyOf finds the wish whose CSR it is.
func (k *chaosClient) keyOf(csr string) *ecdsa.PrivateKey {
	if k == nil {
		return nil
	}
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
			c.found(unlisted, "certificate %s of CA order %s is not in certs", serial, r.ID)
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
			c.found(unlisted, "certificate %s of order %s is stored and not in certs", serial, crt.OrderID)
		}
		if slices.Contains(b.revoked, serial) != (crt.Revocation != nil) {
			c.found(unlisted, "certificate %s of order %s: revoked %t, in certs/revoked %t",
				serial, crt.OrderID, crt.Revocation != nil, crt.Revocation == nil)
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
			c.found(unrevoked, "the leases of certificate %s, order %s, CA order %s, are over; it is neither revoked nor queued",
				serial, h.order, crt.CAOrderID)
		}
	}
	for serial, crt := range b.certs {
		over := len(crt.Leases) > 0
		for id, end := range crt.Leases {
			if b.inside[id] == "" {
				c.tally.add("leases", "unknown to Vault", 1)
			}
			over = over && time.Now().After(end.Add(2*time.Minute))
		}
		if over && crt.Revocation == nil && b.queue[serial] == nil {
			c.found(unrevoked, "the last lease that the engine counts on certificate %s, order %s, CA order %s, is over",
				serial, crt.OrderID, crt.CAOrderID)
		}
	}
	for id, serial := range b.inside {
		crt := b.certs[serial]
		switch _, counted := leasesOf(crt)[id]; {
		case counted, crt != nil && crt.Revocation != nil:
		case crt == nil || len(crt.Leases) == 0:
			c.wrong("Vault has the lease %s on certificate %s, and the engine counts none: %+v", id, serial, crt)
		default:
			// Its caller hung up, and Vault could not delete what it had stored of it.
			c.tally.add("leases", "by halves", 1)
		}
	}
}

func leasesOf(crt *storedCert) map[string]time.Time {
	if crt == nil {
		return nil
	}
	return crt.Leases
}
