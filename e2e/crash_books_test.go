// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// cellBooks are what a cell's mount has stored and what Vault has leased below it, by the role that it belongs to.
type cellBooks struct {
	orders map[string][]*storedOrder
	certs  map[string][]*storedCert
	queue  map[string]*storedRevocation // by serial number
	leases map[string][]string          // the engine's own ids
	keys   map[string]string            // entries that hold a private key, by storage key
}

func (r *crashRig) readCell(c *cell) *cellBooks {
	r.t.Helper()
	b := &cellBooks{
		orders: make(map[string][]*storedOrder), certs: make(map[string][]*storedCert),
		queue: make(map[string]*storedRevocation), leases: make(map[string][]string), keys: make(map[string]string),
	}
	for key, value := range r.v.entries(c.mount, "") {
		if strings.Contains(value, "PRIVATE KEY") && !strings.HasPrefix(key, "reuse/key/") { // which is kept for the next request
			b.keys[key] = value
		}
		parse := func(into any) { require.NoError(r.t, json.Unmarshal([]byte(value), into), "%s does not parse", key) }
		switch {
		case strings.HasPrefix(key, "order/"):
			o := &storedOrder{open: strings.HasPrefix(key, "order/open/")}
			parse(o)
			b.orders[o.Role] = append(b.orders[o.Role], o)
		case strings.HasPrefix(key, "cert/"):
			crt := new(storedCert)
			parse(crt)
			b.certs[crt.Role] = append(b.certs[crt.Role], crt)
		case strings.HasPrefix(key, "revocation/"):
			q := new(storedRevocation)
			parse(q)
			b.queue[strings.TrimPrefix(key, "revocation/")] = q
		}
	}
	r.readLeases(c.mount+"/", b)
	return b
}

func (r *crashRig) readLeases(folder string, b *cellBooks) {
	r.t.Helper()
	for _, key := range r.v.list("sys/leases/lookup/" + folder) {
		if strings.HasSuffix(key, "/") {
			r.readLeases(folder+key, b)
			continue
		}
		entry := r.v.read("sys/raw/sys/expire/id/" + folder + key)
		var lease struct {
			Secret struct {
				InternalData struct {
					Lease string `json:"lease"`
				} `json:"internal_data"`
			} `json:"secret"`
		}
		require.NoError(r.t, json.Unmarshal([]byte(text(r.t, entry["value"])), &lease))
		if lease.Secret.InternalData.Lease == "" {
			continue // of the token that wraps an answer
		}
		role := strings.Split(folder, "/")[2] // mount/issue/role/
		b.leases[role] = append(b.leases[role], lease.Secret.InternalData.Lease)
	}
}

// settleBooks lets hours pass, in which the graces end, and the background pass comes by as often as it has to: it looks at an
// order, erases its key and drains the queue in turns, and leaves each alone for a while in between.
func (r *crashRig) settleBooks(by time.Duration) {
	r.t.Helper()
	var (
		all  sync.WaitGroup
		some = make(chan struct{}, 8) // at a time: a pass mostly waits
	)
	for _, c := range r.cells {
		some <- struct{}{}
		all.Go(func() {
			defer func() { <-some }()
			if err := r.settleCell(c, by); err != nil {
				r.t.Errorf("%s: %v", c.mount, err)
			}
		})
	}
	all.Wait()
}

func (r *crashRig) settleCell(c *cell, by time.Duration) error {
	if err := c.forward(by); err != nil {
		return err
	}
	for range 3 {
		if err := c.forward(longestPause); err != nil {
			return err
		}
		// A clock that has jumped since the CA was last heard is in doubt until it is heard again.
		if _, err := r.v.api.Logical().ReadWithContext(r.t.Context(), c.mount+"/config/check"); err != nil {
			return err
		}
		if _, err := r.write(c.mount+"/crash/pass", nil); err != nil {
			return err
		}
	}
	return nil
}

// longestPause is more than the background pass ever leaves an order or a revocation alone.
const longestPause = 31 * time.Minute

// compare holds the books of the CA, of the mount and of the client against each other. It says what is wrong of each point
// and adds up what there was.
func (r *crashRig) compare(points []*point) {
	r.t.Helper()
	r.settleBooks(time.Hour)
	books := make(map[*cell]*cellBooks)
	for _, c := range r.cells {
		books[c] = r.readCell(c)
		for key := range books[c].keys {
			r.t.Errorf("%s/%s still holds a private key", c.mount, key)
		}
		r.tally.add("kept", "keys", len(books[c].keys))
		litter := r.v.entries(c.mount, "dcv/record/")
		r.tally.add("kept", "records in the journal", len(litter))
		for key := range litter {
			r.t.Errorf("%s/%s is still there", c.mount, key)
		}
	}
	left := r.dns.Challenges("example.com")
	r.tally.add("kept", "records in the DNS", len(left))
	if len(left) > 0 {
		r.t.Errorf("records are left in the DNS: %q", left)
	}
	for _, p := range points {
		p.comparePaid(books[p.cell])
		p.compareHeld(books[p.cell])
		p.compareBudget()
	}
	r.endLeases()
	for _, p := range points {
		p.compareEnd(r.t)
	}
}

// comparePaid wants one order at the CA, and one closed order of the mount that knows it.
func (p *point) comparePaid(b *cellBooks) {
	t, tally := p.rig.t, &p.rig.tally
	paid, want, ends := p.cell.ca.ordersFor(p.domain()), p.flow.paid(p.spots), cmp.Or(p.flow.ends, "issued")
	tally.add("CA", "orders", len(paid))
	tally.add("CA", "orders too many", max(0, len(paid)-want))
	if len(paid) != want {
		t.Errorf("%s: the CA holds %d orders, not %d", p, len(paid), want)
	}
	for _, o := range paid {
		known := func(s *storedOrder) bool { return s.CAOrderID == o.ID }
		orphan := !slices.ContainsFunc(b.orders[p.label], known)
		tally.add("CA", "orders that Vault does not know", count(orphan))
		tally.add("CA", "orders with a key that was certified before", count(o.ReusedKey))
		if orphan || o.ReusedKey || o.Status != ends {
			t.Errorf("%s: the CA's order %s is %s: orphaned %t, key reused %t", p, o.ID, o.Status, orphan, o.ReusedKey)
		}
	}
	for _, o := range b.orders[p.label] {
		tally.add("Vault", "orders left open", count(o.open))
		if o.open || o.State == "unresolved" || o.State == "placing" || o.State == "pending" {
			t.Errorf("%s: %s was left as it is: %s", p, o, o.LastError)
		}
	}
	doubts := len(slices.DeleteFunc(slices.Clone(p.spots), func(s spot) bool { return !p.flow.inDoubt(s) }))
	tally.add("by hand", "settled, with nothing paid", p.settles)
	if p.settles != doubts && p.rig.exact {
		t.Errorf("%s: an operator was needed %d times, not %d", p, p.settles, doubts)
	}
}

// compareHeld wants one certificate, with the key in the client's hands, and every lease counted.
func (p *point) compareHeld(b *cellBooks) {
	t, tally := p.rig.t, &p.rig.tally
	issued := p.cell.ca.ordersFor(p.domain())
	issued = slices.DeleteFunc(issued, func(o certinexttest.OrderRecord) bool { return o.CertificatePEM == "" })
	certs := b.certs[p.label]
	tally.add("Vault", "certificates", len(certs))
	made := 0
	for _, o := range issued {
		made += len(o.Serials)
	}
	if len(certs) != made || made != len(issued)*max(p.flow.certs, 1) {
		t.Errorf("%s: the mount has %d certificates, the CA has issued %d of %d orders", p, len(certs), made, len(issued))
	}
	if len(issued) == 0 || p.flow.unclaimed {
		return
	}
	usable := p.usable(issued)
	tally.add("clients", "with a usable key", count(usable))
	tally.add("clients", "whose key is lost", count(!usable))
	if !usable {
		t.Errorf("%s: the client has no key for the certificate it paid for", p)
	}
	for _, own := range b.leases[p.label] {
		known := slices.ContainsFunc(certs, func(c *storedCert) bool { return c.Revocation != nil || !c.Leases[own].IsZero() })
		tally.add("leases", "alive", 1)
		tally.add("leases", "unknown to the engine", count(!known))
		if !known {
			t.Errorf("%s: the engine does not know of Vault's lease %s", p, own)
		}
	}
}

// usable reports whether all answers that the client has heard hold a certificate of the CA's and its key. One that is not the first of its
// certificate says so.
func (p *point) usable(issued []certinexttest.OrderRecord) bool {
	before := make(map[string]bool)
	for _, resp := range p.heard {
		held, _ := resp.Data["certificate"].(string)
		leaf, key := parseCertificate(p.rig.t, held), p.key
		if !slices.ContainsFunc(issued, func(o certinexttest.OrderRecord) bool { return isOf(leaf, held, o) }) {
			return false
		}
		reused, _ := resp.Data["reused"].(bool)
		p.rig.tally.add("clients", "answered with what was bought before", count(reused))
		if before[held] && !reused && !p.flow.fleet {
			p.rig.t.Errorf("%s: the client got the same certificate twice, and was told that it is new", p)
		}
		before[held] = true
		if key == nil {
			secret, _ := resp.Data["private_key"].(string)
			if secret == "" {
				return false
			}
			key = parseKey(p.rig.t, secret)
		}
		if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
			return false
		}
		checkChainAt(p.rig.t, resp, p.cell.ca.Roots(), p.cell.now())
	}
	if p.flow.fleet { // the answers have come in any order
		first := len(slices.DeleteFunc(slices.Clone(p.heard), func(resp *api.Secret) bool { return resp.Data["reused"] == true }))
		if first > 1 {
			p.rig.t.Errorf("%s: %d answers of one certificate say that it is new", p, first)
		}
	}
	if p.flow.anew && len(before) < 2 {
		p.rig.t.Errorf("%s: the client wanted another certificate and got the same", p)
	}
	return len(p.heard) > 0
}

// isOf reports whether a certificate is the newest one of an order, or one that it had before.
func isOf(leaf *x509.Certificate, held string, o certinexttest.OrderRecord) bool {
	if strings.TrimSpace(held) == strings.TrimSpace(o.CertificatePEM) {
		return true
	}
	return slices.Contains(o.Serials, fmt.Sprintf("%x", leaf.SerialNumber)) && len(o.Serials) > 1
}

// endLeases ends all leases that Vault knows. A certificate goes with the last one. Where the engine has given one that Vault never stored, it
// waits for that one's end: in the queue, or, when Vault has ended no other, on the engine's own list. Then all has to be over.
func (r *crashRig) endLeases() {
	r.t.Helper()
	for _, c := range r.cells {
		require.NoError(r.t, r.v.api.Sys().RevokeWithOptionsWithContext(r.t.Context(), &api.RevokeOptions{
			LeaseID: c.mount + "/", Prefix: true, Sync: true,
		}))
		queue := r.v.entries(c.mount, "revocation/")
		for key, value := range r.v.entries(c.mount, "cert/") {
			crt := new(storedCert)
			require.NoError(r.t, json.Unmarshal([]byte(value), crt))
			_, queued := queue["revocation/"+strings.TrimPrefix(key, "cert/")]
			r.tally.add("leases", "that Vault died before it stored, so that the certificate waits for their end", count(queued))
			waits := crt.Revocation == nil && !queued && slices.ContainsFunc(slices.Collect(maps.Values(crt.Leases)), c.now().Before)
			r.tally.add("leases", "that Vault died before it stored, so that the background pass ends them", count(waits))
			// Without leases nothing ends it, and what was reissued within its order goes with that, at the end of the newest one's.
			if crt.Revocation == nil && !queued && !waits && len(crt.Leases) > 0 && !crt.LeaseEnded {
				r.t.Errorf("%s/%s: all leases are over, and it is neither revoked nor queued: %s", c.mount, key, value)
			}
		}
	}
	r.settleBooks(leaseTTL)
	for _, c := range r.cells {
		for key := range r.v.entries(c.mount, "lease/") {
			r.t.Errorf("%s/%s is still there after all leases are over", c.mount, key)
		}
	}
}

// compareEnd wants every certificate revoked.
func (p *point) compareEnd(t *testing.T) {
	t.Helper()
	if p.flow.role["generate_lease"] == false {
		return
	}
	for _, o := range p.cell.ca.ordersFor(p.domain()) {
		alive := o.Status != "revoked" && o.Status != "cancelled"
		p.rig.tally.add("CA", "certificates that outlived their leases", count(alive))
		if alive {
			t.Errorf("%s: the CA's order %s is %s after all leases are over", p, o.ID, o.Status)
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
