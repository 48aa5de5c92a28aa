// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// CERTInext refuses what somebody has asked for, and meanwhile the last lease ends: Vault was told that this worked, and forgets it.
func TestARefusedRevocationLeavesTheLastLeasesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		resp := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 10 * time.Second, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 422, Times: 1})
		var wg sync.WaitGroup
		wg.Go(func() {
			m.refused("revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
		})
		time.Sleep(2 * time.Second)
		m.endLease(resp) // Vault is told that this worked, and forgets the lease
		wg.Wait()
		m.passes(48)
		require.Equal(t, "revoked", ca.Orders()[0].Status, "no lease is left, and nobody will ever revoke it; queue %v", m.list("certs/revocation-queue"))
	})
}

// The second one was answered "queued".
func TestARefusedRevocationLeavesTheOneThatWasAskedForMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		resp := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 10 * time.Second, Times: 1})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 422, Times: 1})
		var wg sync.WaitGroup
		wg.Go(func() {
			m.refused("revoke", map[string]any{"serial_number": resp.Data["serial_number"], "note": "one that CERTInext does not like"})
		})
		time.Sleep(2 * time.Second)
		second := m.write("revoke", map[string]any{"serial_number": resp.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "queued", second.Data["state"])
		wg.Wait()
		m.passes(48)
		require.Equal(t, "revoked", ca.Orders()[0].Status, "it was answered: queued, and will be tried until it succeeds; queue %v", m.list("certs/revocation-queue"))
	})
}

// The end of a lease is at CERTInext, and fails, while somebody asks for the same with a reason.
func TestARevocationThatFailsKeepsTheReasonThatWasGivenMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		a := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 8 * time.Second})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		var wg sync.WaitGroup
		wg.Go(func() { m.endLease(a) })
		time.Sleep(2 * time.Second)
		resp := m.write("revoke", map[string]any{"serial_number": a.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "queued", resp.Data["state"])
		require.Equal(t, "key-compromise", resp.Data["reason"])
		wg.Wait()
		ca.ClearFaults()
		m.passes(3)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
		require.Equal(t, "key-compromise", ca.Orders()[0].RevokeReason)
	})
}

// An operator has turned generate_lease on, or off, between two answers that held the same certificate.
func TestALeasesEndLeavesWhatWasHandedOverWithoutALease(t *testing.T) {
	for _, first := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			m := newMount(t, ca)
			lease := func(on bool) {
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": on}})
			}
			lease(first)
			a := m.write("issue/web", www)
			lease(!first)
			time.Sleep(time.Second)
			b := m.write("issue/web", www)
			require.Equal(t, true, b.Data["reused"])
			withLease := a
			if withLease.Secret == nil {
				withLease = b
			}
			time.Sleep(10 * time.Minute)
			m.pass()
			m.endLease(withLease)
			m.passes(3)
			require.Equal(t, "issued", ca.Orders()[0].Status, "somebody has it without a lease, and nobody asked")
		})
	}
}

// The one lease has ended, and the other, whose end the revocation waited for, was never stored by Vault.
func TestALeaseThatIsTakenBackPutsOffNoRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		a := m.write("issue/web", map[string]any{"common_name": "a.example.com", "ttl": "1h"})
		time.Sleep(10 * time.Second)
		b := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		require.Equal(t, true, b.Data["reused"])
		m.endLease(a)
		m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: b.Secret}) // Vault could not store it, and has answered an error
		for range 40 * 24 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, "revoked", ca.Orders()[0].Status, "no lease was left ten seconds after the first answer")
	})
}

// Vault died before it stored the renewal: by its record the lease lives on.
func TestARenewalThatShortensALeaseEndsItNoEarlier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		resp := m.write("issue/web", map[string]any{"common_name": "a.example.com", "ttl": "200h"})
		secret := leased(resp)
		time.Sleep(time.Minute)
		renew := *secret
		renew.Increment = time.Hour
		m.must(call{op: logical.RenewOperation, path: "issue/web", secret: &renew}) // Vault dies before it stores it: its lease goes on for 199h
		m.everyMinute(90)
		require.Equal(t, "issued", ca.Orders()[0].Status, "by Vault's record the lease lives for another 198 h")
	})
}

// Not every storage of Vault's lists in order.
func TestLeasesThatAreOverdueAreFoundInAnyOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.storage.lay(unsorted{m.storage.under()})
		m.write("issue/web", map[string]any{"common_name": "a.example.com", "ttl": "1h"})
		m.write("issue/web", map[string]any{"common_name": "b.example.com", "ttl": "200h"})
		m.passes(100)
		for _, o := range ca.Orders() {
			if o.Domain == "a.example.com" {
				require.Equal(t, "revoked", o.Status)
			}
		}
	})
}

// After a restart an order that was answered looks pending, and CERTInext is away.
func TestARevocationByOrderNeedsNoCERTInext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		a := m.write("issue/web", www)
		m.start()
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped})
		resp, err := m.send(call{op: logical.UpdateOperation, path: "revoke/web", data: map[string]any{"order_id": a.Data["order_id"], "reason": "key-compromise"}})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "%v", resp.Error())
		require.Equal(t, "queued", resp.Data["state"])
	})
}

// unsorted lists in no order.
type unsorted struct{ logical.Storage }

func (s unsorted) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.Storage.List(ctx, prefix)
	slices.Reverse(keys)
	return keys, err
}
