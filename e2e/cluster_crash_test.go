// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// The machine of the active node loses its power at one point after another. Each time another node takes over, the client,
// which knows a load balancer only, gets what was paid for, and the dead node comes back as a standby.
func TestTheActiveNodeDiesAndTheNextOneFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{
				Dialect: dialect, VerifiedDomains: []string{"example.com"}, IssueDelay: time.Second,
			})
			c := startCluster(t)
			c.active().configure(ca)
			for _, s := range clusterCrashes {
				c.diesAt(t, ca, s)
			}
			c.awaitRevoked(t, ca)
			c.settle(t, ca)
		})
	}
}

// A clusterCrash is a point at which the active node dies.
type clusterCrash struct {
	name  string
	host  string
	story func(t *testing.T, c *cluster, ca *authority, kill func(), request map[string]any)
}

var clusterCrashes = []clusterCrash{
	{"the CA has the order and has not answered", "create", issueAcross(certinexttest.OpCreateSSL, 1)},
	{"the order waits for the CA", "track", issueAcross(certinexttest.OpTrack, 2)},
	{"the certificate is on its way", "download", issueAcross(certinexttest.OpCertificate, 1)},
	{"the client has its answer", "answered", askAgainAcross},
	{"the CA has revoked and has not answered", "revoked", endLeaseAcross(false)},
	{"the CA has not heard of the revocation", "unrevoked", endLeaseAcross(true)},
}

// diesAt tells the story of one point, and brings the node back.
func (c *cluster) diesAt(t *testing.T, ca *authority, s clusterCrash) {
	t.Log(s.name)
	before := c.active()
	name := s.host + ".example.com"
	c.books.want(name)
	s.story(t, c, ca, func() { c.kill(before) }, map[string]any{"common_name": name})
	require.True(t, before.process.ended(), "the node was not killed")
	require.NotSame(t, before, c.active())
	ca.Configure(func(s *certinexttest.Server) { s.BeforeCall, s.AfterCall = nil, nil })
	c.revive(before)
}

// issueAcross kills the node when the CA has done the n-th call of op and has not answered.
func issueAcross(op string, n int) func(*testing.T, *cluster, *authority, func(), map[string]any) {
	return func(t *testing.T, c *cluster, ca *authority, kill func(), request map[string]any) {
		onCall(ca, op, n, kill)
		resp := c.insist(90*time.Second, "certinext/issue/web", request)
		c.books.waited(c.sinceDeath())
		ca.check(t, resp)
		order := ca.ordersFor(text(t, request["common_name"]))
		require.Len(t, order, 1)
		require.Equal(t, order[0].ID, resp.Data["ca_order_id"])
		require.False(t, order[0].ReusedKey)
	}
}

// askAgainAcross kills the node when the client has its answer. Nobody knows that it has: the answer may have been lost with
// the node, so the same request gets it again.
func askAgainAcross(t *testing.T, c *cluster, ca *authority, kill func(), request map[string]any) {
	first := c.insist(60*time.Second, "certinext/issue/web", request)
	kill()
	again := c.insist(90*time.Second, "certinext/issue/web", request)
	c.books.waited(c.sinceDeath())
	ca.check(t, again)
	requireAgain(t, first, again)
	c.endLeaseOf(t, first)
	require.Equal(t, "issued", ca.ordersFor(text(t, request["common_name"]))[0].Status, "the second lease still holds it")
	c.endLeaseOf(t, again)
	require.Equal(t, "revoked", ca.ordersFor(text(t, request["common_name"]))[0].Status)
}

// endLeaseAcross kills the node while it revokes: before the CA has heard of it, or else after the CA has done it.
func endLeaseAcross(unheard bool) func(*testing.T, *cluster, *authority, func(), map[string]any) {
	return func(t *testing.T, c *cluster, ca *authority, kill func(), request map[string]any) {
		resp := c.insist(60*time.Second, "certinext/issue/web", request)
		if unheard {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1})
			ca.Configure(func(s *certinexttest.Server) { s.BeforeCall = once(certinexttest.OpRevoke, 1, kill) })
		} else {
			onCall(ca, certinexttest.OpRevoke, 1, kill)
		}
		c.endLeaseOf(t, resp)
		order := ca.ordersFor(text(t, request["common_name"]))[0]
		require.Equal(t, unheard, order.Status == "issued", "the CA has revoked it, or has not been asked yet: %s", order.Status)
		serial := text(t, resp.Data["serial_number"])
		// The dead node had stored that it is to be revoked. That the lease ends once more adds nothing: the next node's own minute does it.
		c.books.revoking = append(c.books.revoking, serial)
	}
}

// awaitRevoked waits until what was to be revoked when a node died is revoked and on record.
func (c *cluster) awaitRevoked(t *testing.T, ca *authority) {
	t.Helper()
	for _, serial := range c.books.revoking {
		waitUntil(t, 150*time.Second, "the revocation is done and on record", func() bool {
			return c.read("certinext/cert/" + serial)["revocation_queued"] == false && slices.Contains(c.list("certinext/certs/revoked"), serial)
		})
		order := text(t, c.read("certinext/cert/" + serial)["ca_order_id"])
		remote, _ := ca.Order(order)
		require.Equal(t, "revoked", remote.Status)
	}
}

// endLeaseOf ends a lease through the balancer, whoever dies meanwhile, and sees that it is gone for good.
func (c *cluster) endLeaseOf(t *testing.T, resp *api.Secret) {
	t.Helper()
	require.NotEmpty(t, resp.LeaseID, "the answer has no lease")
	waitUntil(t, 90*time.Second, "the lease is ended", func() bool {
		asked := c.caller
		if programs.openBao { // whose standbys do not forward this
			asked = c.active().caller
		}
		err := asked.api.Sys().RevokeWithOptionsWithContext(t.Context(), &api.RevokeOptions{LeaseID: resp.LeaseID, Sync: true})
		require.True(t, err == nil || isOutage(err), "%v", err)
		if err != nil {
			return false
		}
		_, err = asked.api.Sys().LookupWithContext(t.Context(), resp.LeaseID)
		return isRefusal(err) // there is no such lease
	})
	irrevocable := map[string][]string{"type": {"irrevocable"}}
	stuck := c.get("sys/leases/count", func(ctx context.Context, path string) (*api.Secret, error) {
		return c.api.Logical().ReadWithDataWithContext(ctx, path, irrevocable)
	})
	require.Zero(t, number(t, stuck.Data["lease_count"]), "a lease cannot be revoked")
}
