// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// clusterBooks are what the clients of a cluster have written down.
type clusterBooks struct {
	mu    sync.Mutex
	asked map[string]int           // certificates wanted, by name
	held  map[string]crypto.Signer // keys of the certificates handed over, by the CA's number of their order
	waits []time.Duration          // from a node's death until the request that met it was answered

	revoking []string // serial numbers of what was on its way to being revoked when a node died
}

func newClusterBooks() *clusterBooks {
	return &clusterBooks{asked: make(map[string]int), held: make(map[string]crypto.Signer)}
}

// want says that somebody needs one more certificate for a name.
func (b *clusterBooks) want(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[name]++
}

// hold keeps the key of an answer.
func (b *clusterBooks) hold(t *testing.T, resp *api.Secret) {
	t.Helper()
	b.holdKey(resp, parseKey(t, text(t, resp.Data["private_key"])))
}

// holdKey is hold for a key that the client has made.
func (b *clusterBooks) holdKey(resp *api.Secret, key crypto.Signer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, _ := resp.Data["ca_order_id"].(string)
	b.held[id] = key
}

func (b *clusterBooks) waited(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits = append(b.waits, d)
}

// clusterFigures is what the books come to.
type clusterFigures struct {
	kills, orders, duplicates, orphans, lostKeys int
	waits                                        []time.Duration
}

func (f clusterFigures) String() string {
	out := fmt.Sprintf("nodes killed %d, CA orders %d, duplicate orders %d, orphaned orders %d, lost keys %d",
		f.kills, f.orders, f.duplicates, f.orphans, f.lostKeys)
	if len(f.waits) == 0 {
		return out
	}
	var slowest, sum time.Duration
	for _, w := range f.waits {
		slowest, sum = max(slowest, w), sum+w
	}
	mean := sum / time.Duration(len(f.waits))
	return fmt.Sprintf("%s, from the kill to the certificate %s on average and %s at most",
		out, mean.Round(time.Millisecond), slowest.Round(time.Millisecond))
}

// settle compares the books of the CA, of Vault and of the clients, requires that they agree, and prints the figures.
func (c *cluster) settle(t *testing.T, ca *authority) {
	t.Helper()
	f := clusterFigures{kills: len(c.deaths), waits: c.books.waits}
	known := c.knownOrders()
	bought := make(map[string]int)
	for _, o := range ca.Orders() {
		f.orders++
		bought[o.Domain]++
		if !known[o.ID] {
			f.orphans++
			t.Errorf("the CA's order %s for %s is in none of Vault's entries", o.ID, o.Domain)
		}
		if !isKeyOf(t, c.books.held[o.ID], o) {
			f.lostKeys++
			t.Errorf("nobody has the key of the CA's order %s for %s (%s)", o.ID, o.Domain, o.Status)
		}
	}
	for name, n := range bought {
		if extra := n - c.books.asked[name]; extra > 0 {
			f.duplicates += extra
			t.Errorf("%d orders for %s, where %d were asked for", n, name, c.books.asked[name])
		}
	}
	for name, n := range c.books.asked {
		require.Equal(t, n, bought[name], "orders for %s", name)
	}
	t.Log(f.String())
}

// knownOrders are the CA's numbers that stand in Vault's orders.
func (c *cluster) knownOrders() map[string]bool {
	c.t.Helper()
	known := make(map[string]bool)
	for _, role := range c.list("certinext/roles") {
		for _, id := range c.list("certinext/orders/" + role) {
			if number, _ := c.read("certinext/orders/" + role + "/" + id)["ca_order_id"].(string); number != "" {
				known[number] = true
			}
		}
	}
	return known
}

// isKeyOf reports whether a key is that of what the CA has certified.
func isKeyOf(t *testing.T, key crypto.Signer, o certinexttest.OrderRecord) bool {
	t.Helper()
	if key == nil || o.CertificatePEM == "" {
		return false
	}
	public, ok := parseCertificate(t, o.CertificatePEM).PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(key.Public())
}
