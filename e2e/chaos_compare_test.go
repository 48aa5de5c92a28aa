// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/ecdsa"
	"fmt"
	"regexp"
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

// A purchase is everything that was asked for in the same words, and what was bought for it, in the order of time.
type purchase struct {
	wanted []*wish
	orders []*storedOrder
}

// compareRequests looks at what was wanted: nothing was bought twice, and whoever paid has the key.
func (c *chaos) compareRequests(b *books) {
	certs, purchases := b.certsByOrder(), c.purchases(b)
	for a, p := range purchases {
		slices.SortFunc(p.orders, func(x, y *storedOrder) int { return x.CreatedAt.Compare(y.CreatedAt) })
		for _, o := range p.orders {
			if crt := certs[o.ID]; crt != nil && c.held[colons(crt.Serial)] == nil {
				c.nobodyHas(o, crt, p.wanted)
			}
		}
		c.compareRefused(a, p, certs)
		c.compareCompromised(p, b)
		if most := p.most(certs); len(p.orders) > most {
			c.found(duplicate, "%s wanted %s %d times and has bought %d, not %d at most\n%s",
				c.requesters[a.requester].label(), a.cn, len(p.wanted), len(p.orders), most, tell(p.orders, p.wanted))
		}
		c.compareRepeats(a, p, b)
	}
}

// compareRefused looks at those whom version 1 has told that their key is certified already: it has to be, and the certificate must be one that
// they were not to be handed again.
func (c *chaos) compareRefused(a asking, p *purchase, certs map[string]*storedCert) {
	for _, w := range p.wanted {
		if !strings.Contains(w.refused, "Duplicate CSR") {
			continue
		}
		fits := func(o *storedOrder) bool {
			crt := certs[o.ID]
			return crt == nil || crt.Revocation != nil || w.force || lapses(a.role)
		}
		if !slices.ContainsFunc(p.orders, fits) {
			c.wrong("%s was refused although its certificate is there to be had: %s\n%s", w, w.refused, tell(p.orders, p.wanted))
		}
	}
}

// ofCompromised finds the certificate that a refused key was revoked with.
var ofCompromised = regexp.MustCompile(`its key is compromised: certificate ([0-9a-f:]+) was revoked for that`)

// compareCompromised looks at those whose key was called compromised: a certificate with that key has to have been revoked.
func (c *chaos) compareCompromised(p *purchase, b *books) {
	revoked := make(map[string]bool)
	for _, r := range b.ca {
		for _, serial := range r.Serials {
			revoked[plainSerial(serial)] = !r.RevokedAt.IsZero() // for another reason, if that came first
		}
	}
	for _, w := range p.wanted {
		found := ofCompromised.FindStringSubmatch(w.refused)
		if found != nil && !revoked[plainSerial(found[1])] {
			c.wrong("%s was refused for a key whose certificate is not revoked: %s", w, w.refused)
		}
	}
}

// purchases sorts wishes and orders by what they ask for. An order that CERTInext never took was not bought.
func (c *chaos) purchases(b *books) map[asking]*purchase {
	c.learn(b.orders)
	names, out := c.namesOfClients(), make(map[asking]*purchase)
	at := func(a asking) *purchase {
		if out[a] == nil {
			out[a] = new(purchase)
		}
		return out[a]
	}
	for _, k := range c.clients {
		for _, w := range k.wishes {
			p := at(asking{names[k], w.role, w.cn, w.id, strings.TrimSpace(w.csr)})
			p.wanted = append(p.wanted, w)
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
		p := at(a)
		p.orders = append(p.orders, o)
	}
	return out
}

// most is how many orders there can be at the most, whatever happens: one for each wish, and for each answer that did not arrive. An order that
// ended without a certificate may be followed by another. compareRepeats says when fewer are allowed, which is nearly always.
func (p *purchase) most(certs map[string]*storedCert) int {
	most := len(p.wanted)
	for _, w := range p.wanted {
		if w.id != "" {
			most = 1
			break
		}
		most += w.lost
	}
	for _, o := range p.orders {
		if certs[o.ID] == nil {
			most++
		}
	}
	return most
}

// compareRepeats wants a reason for every order that was bought although the same requester had bought one for the same before: the same
// request is one order while it is in flight, and one certificate for its role's window.
func (c *chaos) compareRepeats(a asking, p *purchase, b *books) {
	certs, forced := b.certsByOrder(), 0
	for i, later := range p.orders {
		byForce := false
		for _, earlier := range p.orders[:i] {
			why := c.mayFollow(earlier, later, certs[earlier.ID], p.wanted, b)
			switch why {
			case "":
				c.found(duplicate, "%s has bought %s for %s although it had %s\n%s", c.requesters[a.requester].label(), later, a.cn, earlier, tell(p.orders, p.wanted))
				why = "for no reason"
			case byForceNew:
				byForce = true
			}
			c.tally.add("bought anew", why, 1)
		}
		if byForce {
			forced++
		}
	}
	calls := 0
	for _, w := range p.wanted {
		if w.force {
			calls += len(w.calls) + w.lost // one that Vault's client has sent again counts as lost, too
		}
	}
	if forced > calls {
		c.found(duplicate, "%s has forced %d orders for %s, with %d calls\n%s", c.requesters[a.requester].label(), forced, a.cn, calls, tell(p.orders, p.wanted))
	}
}

const byForceNew = "by force_new"

// mayFollow says why an order may have been placed although there was an earlier one for the same; it is empty when there is no reason.
func (c *chaos) mayFollow(earlier, later *storedOrder, crt *storedCert, wanted []*wish, b *books) string {
	placed := later.CreatedAt
	switch {
	case crt == nil && !earlier.lastChange().After(placed):
		return "the earlier one had ended without a certificate"
	case crt == nil:
		return ""
	case c.endedBefore(crt, placed, b):
		return "the earlier certificate was to be revoked"
	case crt.Delivery == nil:
		return "" // it is for whoever asks
	}
	// What was handed over may have been taken back, and handed over again later.
	handed := !crt.Delivery.At.After(placed) || (lapses(later.Role) && intoTheVoid(placed, wanted))
	forced := slices.ContainsFunc(wanted, func(w *wish) bool {
		return w.force && slices.ContainsFunc(w.calls, func(r wishCall) bool { return r.places && !placed.Before(r.began) && !placed.After(r.ended) })
	})
	switch {
	case handed && windowOf(later.Role) == 0:
		return "its role reuses nothing"
	case handed && lapses(later.Role) && c.windowIsOver(crt, placed):
		return "the window was over"
	case handed && lapses(later.Role) && crt.Delivery.At.After(placed):
		return "the earlier answer had not arrived"
	case forced && (handed || intoTheVoid(placed, wanted)):
		return byForceNew
	}
	return ""
}

// windowIsOver reports whether an order was placed after the window of a certificate, which begins anew with every answer.
func (c *chaos) windowIsOver(crt *storedCert, placed time.Time) bool {
	latest := crt.Delivery.At
	if h := c.held[colons(crt.Serial)]; h != nil {
		for _, a := range h.answers {
			if a.began.After(latest) && a.began.Before(placed) && a.ended.Before(placed) {
				latest = a.began
			}
		}
	}
	return !placed.Before(latest.Add(windowOf(crt.Role)))
}

// endedBefore reports whether a certificate was revoked, or on its way to that, at some time: its client has revoked it or ended a lease by
// then, or its only lease had ended by itself.
func (c *chaos) endedBefore(crt *storedCert, at time.Time, b *books) bool {
	queued := b.queue[plainSerial(crt.Serial)]
	if crt.Revocation == nil && (queued == nil || !queued.Due) {
		return false
	}
	var since []time.Time
	if crt.Revocation != nil {
		since = append(since, crt.Revocation.At)
	}
	if h := c.held[colons(crt.Serial)]; h != nil && !h.touched.IsZero() {
		since = append(since, h.touched)
	}
	if ttl, _ := chaosRoles[crt.Role]["ttl"].(string); ttl != "" && crt.Delivery != nil {
		life, err := time.ParseDuration(ttl)
		if err != nil {
			panic(err)
		}
		since = append(since, crt.Delivery.At.Add(life))
	}
	return slices.ContainsFunc(since, func(t time.Time) bool { return !t.After(at) })
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

// nobodyHas judges a certificate that was paid for and that no client has. The engine promises that an answer that did not arrive is given
// again: within the role's window, or within the grace to whoever names the request or the order. So either its client has stopped asking, or it
// came too late, or said that it wants no such certificate, or the certificate's lease had ended meanwhile.
func (c *chaos) nobodyHas(o *storedOrder, crt *storedCert, wanted []*wish) {
	missing, gaveUp, forced := 0, false, false
	for _, w := range wanted {
		missing += w.lost
		gaveUp = gaveUp || w.given
		forced = forced || w.force
	}
	how := ""
	switch {
	case crt.Delivery == nil || missing == 0:
	case lapses(o.Role):
		how = "and asked for again beyond the window"
	case gaveUp:
		how = "and never asked for again"
	case forced:
		how = "and asked for another by force"
	case crt.Revocation != nil && chaosRoles[o.Role]["ttl"] != nil:
		how = "and asked for again when the lease was over"
	}
	if how == "" {
		c.found(lostKey, "nobody has the certificate %s, revoked %t, of %s; %d answers were lost\n%s",
			crt.Serial, crt.Revocation != nil, o, missing, tell([]*storedOrder{o}, wanted))
		return
	}
	c.tally.add("hung up", "at the last moment, "+how, 1)
}

// intoTheVoid reports whether an answer to one of the wishes may have been given before a time, and not have arrived.
func intoTheVoid(before time.Time, wanted []*wish) bool {
	return slices.ContainsFunc(wanted, func(w *wish) bool {
		return slices.ContainsFunc(w.calls, func(r wishCall) bool { return r.lost > 0 && r.began.Before(before) })
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
		default:
			c.compareAnswers(what, h, crt)
		}
	}
}

// compareAnswers wants one answer that does not say "reused", the first, unless that did not arrive; and none that is not counted.
func (c *chaos) compareAnswers(what string, h *holder, crt *storedCert) {
	first := len(slices.DeleteFunc(slices.Clone(h.answers), func(a handing) bool { return a.reused }))
	c.tally.add("repeats", "answered with what was bought before", len(h.answers)-first)
	unheard := max(crt.Delivery.Times, 1) - len(h.answers)
	if first > 1 || (first == 0 && unheard < 1 && !lostOne(h)) || unheard < 0 {
		c.wrong("%s came with %d answers, of which %d said that it was new, and %d count as given", what, len(h.answers), first, crt.Delivery.Times)
	}
}

// lostOne reports whether an answer with the certificate may not have arrived. One that Vault could not store is taken back and not counted,
// and the answer that was given meanwhile says that it is not the first.
func lostOne(h *holder) bool {
	return slices.ContainsFunc(h.owners[0].wishes, func(w *wish) bool {
		return w.role == h.wish.role && w.cn == h.wish.cn && w.lost > 0
	})
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
			over = over && time.Now().After(end.Add(unstoredPatience))
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
