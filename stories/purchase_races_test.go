// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The first request's create is refused after a while, and ordering is paused while the second one waits for it.
func TestARequestThatWaitsBuysNothingOncePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		// The first request's create is refused after a while; the second one waits for it.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 20 * time.Second, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultServerError, Status: 422, Times: 1})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
			})
			time.Sleep(time.Second)
		}
		m.write("config", map[string]any{"ordering": "paused"})
		time.Sleep(time.Second)
		wg.Wait()
		require.Empty(t, ca.Orders(), "ordering is paused since 18 s")
	})
}

// Asking again by the same Idempotency-Key buys an order that has never arrived.
func TestThePassBuysNothingWhilePaused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 20})
		o := m.write("orders/web", www)
		require.Equal(t, "unresolved", o.Data["state"])
		m.write("config", map[string]any{"ordering": "paused"})
		ca.ClearFaults()
		m.passes(3)
		require.Empty(t, ca.Orders(), "ordering is paused, and CERTInext had never heard of the order")
	})
}

// The config, which says where to look, cannot be read.
func TestNeverPlacedIsNotBelievedWhenStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ReportDelay = 0
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 10})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		o := m.write("orders/web", www)
		id := o.Data["order_id"].(string)
		require.Len(t, ca.Orders(), 1)
		ca.ClearFaults()
		time.Sleep(time.Hour)
		m.start() // a new process knows no config yet
		failing := &failGet{Storage: m.storage.under(), key: "config", times: 2}
		m.storage.lay(failing)
		_, _ = m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"never_placed": true}})
		failing.times = 0
		m.write("issue/web", www)
		require.Len(t, ca.Orders(), 1, "CERTInext's records were not looked into, and the same request has bought twice")
	})
}

// The operator sees nothing in the portal; then the pass asks again, CERTInext takes the order, and its answer is lost.
func TestNeverPlacedIsNotBelievedRightAfterAReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Status: 501})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 20})
		o := m.write("orders/web", www)
		id := o.Data["order_id"].(string)
		require.Equal(t, "unresolved", o.Data["state"])
		time.Sleep(20 * time.Minute)
		require.Empty(t, ca.Orders()) // this is what the operator sees in the portal
		ca.ClearFaults()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Status: 501})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 20, Skip: 1})
		m.pass()
		require.Len(t, ca.Orders(), 1) // asked again, CERTInext has taken it; the answer was lost
		_, _ = m.send(call{op: logical.UpdateOperation, path: "operator/orders/web/" + id, data: map[string]any{"never_placed": true}})
		ca.ClearFaults()
		m.write("issue/web", www)
		require.Len(t, ca.Orders(), 1, "bought twice: never_placed was believed seconds after a create was sent")
	})
}

// Two requests wait for one order, and a role turns reuse off.
func TestAClockThatIsSetBackInFlightBuysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 20 * time.Second
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": "0s"}})
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { m.write("issue/web", www) })
			time.Sleep(time.Second)
		}
		m.later(-2 * time.Minute)
		wg.Wait()
		require.Len(t, ca.Orders(), 1, "they asked for the same while it was in flight")
	})
}

// The one by its caller, who has hung up, the other by Vault.
func TestTwoAnswersThatAreTakenBackAtOnceAreBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		a := m.write("issue/web", www)
		m.start() // so that the next delivery is driven, and not from the store
		slow := &slowPut{Storage: m.storage.under()}
		m.storage.lay(slow)
		n := 0
		slow.gate = func(key string) {
			if len(key) > 5 && key[:5] == "cert/" {
				if n++; n == 1 {
					time.Sleep(50 * time.Second)
				}
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
		})
		time.Sleep(10 * time.Second)
		wg.Go(func() { m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: a.Secret}) })
		wg.Wait()
		time.Sleep(10 * time.Minute)
		m.pass()
		m.write("issue/web", www)
		require.Len(t, ca.Orders(), 1, "neither answer has left Vault")
	})
}

// Deleting it would revoke another requester's certificate.
func TestAnOrderInDoubtDoesNotAdoptWhatTheMountKnowsAsAnother(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(dialect)
				m := newMount(t, ca)
				if dialect == certinexttest.Documented {
					m.write("config", map[string]any{"trust_idempotency_key": false})
				}
				m.write("roles/team-b", map[string]any{
					"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_bare_domains": true, "allow_subdomains": true,
				})
				a := m.must(call{op: logical.UpdateOperation, path: "issue/web", data: www, accessor: "team-a"})
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped})
				if dialect == certinexttest.Live {
					ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
				}
				b := m.must(call{op: logical.UpdateOperation, path: "orders/team-b", data: www, accessor: "team-b"})
				path := "orders/team-b/" + b.Data["order_id"].(string)
				require.Equal(t, "unresolved", b.Data["state"])
				_, _ = m.send(call{op: logical.UpdateOperation, path: path, data: map[string]any{"ca_order_id": a.Data["ca_order_id"]}, accessor: "team-b"})
				_, _ = m.send(call{op: logical.DeleteOperation, path: path, accessor: "team-b"})
				m.passes(3)
				require.Equal(t, "issued", ca.Orders()[0].Status, "team-a's certificate, whose lease lives, was revoked by team-b")
			})
		})
	}
}

// CERTInext's report does not show the other order yet.
func TestAnOrderInDoubtDoesNotAdoptAnotherWithinTheReportsLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.ReportDelay = 10 * time.Minute
		m := newMount(t, ca)
		m.write("roles/team-b", map[string]any{
			"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_bare_domains": true, "allow_subdomains": true,
		})
		a := m.must(call{op: logical.UpdateOperation, path: "issue/web", data: www, accessor: "team-a"})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped})
		b := m.must(call{op: logical.UpdateOperation, path: "orders/team-b", data: www, accessor: "team-b"})
		path := "orders/team-b/" + b.Data["order_id"].(string)
		require.Equal(t, "unresolved", b.Data["state"])
		_, _ = m.send(call{op: logical.UpdateOperation, path: path, data: map[string]any{"ca_order_id": a.Data["ca_order_id"]}, accessor: "team-b"})
		_, _ = m.send(call{op: logical.DeleteOperation, path: path, accessor: "team-b"})
		m.passes(3)
		require.Equal(t, "issued", ca.Orders()[0].Status, "team-a's certificate, whose lease lives, was revoked by team-b")
	})
}

// A certificate with another key has the order looked for.
func TestAPlacementDoesNotAskAgainByItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultWrongKey})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 10 * time.Minute, Skip: 1})
		start := time.Now()
		_, _ = m.send(call{op: logical.UpdateOperation, path: "orders/web", data: www})
		require.LessOrEqual(t, time.Since(start), 6*time.Second)
	})
}

// failGet refuses to read one key, a few times.
type failGet struct {
	logical.Storage
	key   string
	times int
}

func (s *failGet) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.times > 0 && key == s.key {
		s.times--
		return nil, errStorageAway
	}
	return s.Storage.Get(ctx, key)
}

// slowPut has writes wait at a gate.
type slowPut struct {
	logical.Storage
	gate func(key string)
}

func (s *slowPut) Put(ctx context.Context, e *logical.StorageEntry) error {
	if s.gate != nil {
		s.gate(e.Key)
	}
	return s.Storage.Put(ctx, e)
}
