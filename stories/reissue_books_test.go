// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// passHours lets hours pass, with a background pass after each.
func passHours(m *mount, n int) {
	for range n {
		time.Sleep(time.Hour)
		m.pass()
	}
}

// reissueInPortal reissues the order of an answer as somebody with the same account does.
func reissueInPortal(t *testing.T, m *mount, first *logical.Response) *certinext.Client {
	client, _ := elsewhere(t, m.ca, "shop.example.com")
	_, err := client.ReissueOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.ReissueRequest{
		CSR: csr(t, newKey(t, elliptic.P256()), "www.example.com"), Reason: "portal",
	})
	require.NoError(t, err)
	return client
}

// CERTInext would revoke the first one with the third.
func TestUnclaimedThirdRevokesTheFirstInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true, "pickup_window": "1h"}})
		second := m.reissue(first, nil)
		m.pass()
		time.Sleep(10 * time.Minute)
		m.reissue(second, nil)
		m.pass()
		passHours(m, 10)
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "the first certificate is in use, with a lease that lives")
	})
}

func TestUnclaimedThirdRevokesTheFirstInUseAfterSecondLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true, "pickup_window": "1h"}})
		second := m.write("orders/web/"+m.reissue(first, nil).Data["order_id"].(string)+"/collect", nil)
		m.reissue(second, nil)
		m.pass()
		m.endLease(second)
		passHours(m, 10)
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "the first certificate is in use, with a lease that lives")
	})
}

func TestQueuedRevocationBooksNewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Minute })
		order := m.reissue(first, nil)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		resp := m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "queued", resp.Data["state"])
		time.Sleep(11 * time.Minute)
		m.pass()
		path := "orders/web/" + order.Data["order_id"].(string)
		m.refused(path+"/collect", nil) // it is revoked with its order
		m.ca.ClearFaults()
		passHours(m, 5)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		second := m.read(path).Data["serial_number"].(string)
		require.NotEqual(t, first.Data["serial_number"], second)
		require.Contains(t, m.list("certs/revoked"), second)
	})
}

func TestCrashBetweenTheBooksOfNewerAndOlder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		second := m.write("orders/web/"+m.reissue(first, nil).Data["order_id"].(string)+"/collect", nil)
		passHours(m, 2)
		old := strings.ReplaceAll(first.Data["serial_number"].(string), ":", "-")
		m.storage.failing(func(key string) error {
			if strings.Contains(key, old) {
				return errors.New("the process is dead")
			}
			return nil
		})
		_, _ = m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": second.Data["serial_number"]}})
		m.storage.failing(nil)
		m.start()
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		passHours(m, 3)
		_, _ = m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": second.Data["serial_number"]}})
		m.synchronize()
		m.endLease(first)
		resp, _ := m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first.Data["serial_number"]}})
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string), "%v", resp)
	})
}

func TestPortalRevokesDuringTheSecondReissue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		second := m.write("orders/web/"+m.reissue(first, nil).Data["order_id"].(string)+"/collect", nil)
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Hour })
		m.reissue(second, nil)
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		passHours(m, 5)
		m.synchronize()
		require.Contains(t, m.list("certs/revoked"), second.Data["serial_number"].(string))
		resp, _ := m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first.Data["serial_number"]}})
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string), "%v", resp)
	})
}

func TestPortalReissuesAndRevokesBetweenTwoSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		passHours(m, 2)
		client := reissueInPortal(t, m, first)
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		time.Sleep(time.Minute)
		m.synchronize()
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string))
	})
}

func TestSomebodyElsesReissueMarksThePreviousRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultDropped, Times: 1})
		order := m.reissue(first, map[string]any{"revoke_previous": true, "revoke_reason": "keyCompromise"})
		require.Equal(t, "unresolved", order.Data["state"])
		reissueInPortal(t, m, first)
		passHours(m, 24)
		require.Equal(t, "failed", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
		require.NotContains(t, m.list("certs/revoked"), first.Data["serial_number"].(string), "nobody has revoked it")
	})
}

func TestUnclaimedReissueThenLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true, "pickup_window": "1h"}})
		m.reissue(first, nil)
		m.pass()
		passHours(m, 5)
		m.endLease(first)
		passHours(m, 10)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status, "neither certificate is anybody's, and both live on")
	})
}

func TestTheEndOfTheNewLeaseWhileTheOldIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		second := m.write("orders/web/"+m.reissue(first, nil).Data["order_id"].(string)+"/collect", nil)
		m.endLease(second)
		passHours(m, 5)
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "the first certificate's lease lives")
		require.Empty(t, m.list("certs/revoked"))
		m.endLease(first)
		passHours(m, 2)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status, "now neither is in use")
		require.Len(t, m.list("certs/revoked"), 2)
	})
}

func TestAnUnresolvedReissueOfARevokedOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultDropped, Times: 1})
		order := m.reissue(first, nil)
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, first.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		passHours(m, 24)
		require.Equal(t, "revoked", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string))
	})
}
