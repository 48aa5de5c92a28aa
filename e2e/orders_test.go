// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

var orderID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// persist makes the same request until it is answered with a certificate. Every answer before that has to be a 400.
func (c *caller) persist(within time.Duration, path string, data map[string]any) *api.Secret {
	c.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(200 * time.Millisecond) {
		resp, err := c.send(path, data)
		if err == nil {
			return resp
		}
		require.True(c.t, isRefusal(err), "%v", err)
		require.True(c.t, time.Now().Before(deadline), "not answered within %s: %v", within, err)
	}
}

func TestAnOrderThatOutlivesItsRequestIsFoundAgainAndPaidOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 6 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"issue_timeout": "2s"})
	request := map[string]any{"common_name": "slow.example.com"}

	started := time.Now()
	reason := v.refused("certinext/issue/web", request)
	require.WithinRange(t, time.Now(), started.Add(time.Second), started.Add(4*time.Second), "issue_timeout is 2s")
	id := orderID.FindString(reason)
	require.NotEmpty(t, id, "the answer names no order: %s", reason)
	require.Contains(t, reason, ca.onlyOrder(t).ID)
	require.Contains(t, reason, "is not finished")

	require.Equal(t, []string{id}, v.list("certinext/orders/web"))
	order := v.read("certinext/orders/web/" + id)
	require.Equal(t, "pending", order["state"])
	require.Equal(t, ca.onlyOrder(t).ID, order["ca_order_id"])
	require.Equal(t, "slow.example.com", order["common_name"])
	require.NotEmpty(t, order["timeline"])
	require.NotContains(t, order, "private_key")

	resp := v.persist(30*time.Second, "certinext/issue/web", request)
	ca.check(t, resp)
	require.Equal(t, id, resp.Data["order_id"])
	require.Equal(t, 1, ca.onlyOrder(t).Creates)
	require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	order = v.read("certinext/orders/web/" + id)
	require.Equal(t, "issued", order["state"])
	require.Equal(t, true, order["delivered"])
	require.Equal(t, resp.Data["serial_number"], order["serial_number"])
}

func TestAnAsynchronousOrderIsCollectedOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 3 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"delivery_grace": "4s"}) // and with it the reuse window
	key, csr := newCSR(t, "signed.example.com")
	for name, story := range map[string]struct {
		place string
		data  map[string]any
	}{
		"issue with async":    {"certinext/issue/web", map[string]any{"common_name": "issue.example.com", "async": true}},
		"an order":            {"certinext/orders/web", map[string]any{"common_name": "orders.example.com"}},
		"an order with a CSR": {"certinext/orders/web", map[string]any{"csr": csr}},
	} {
		t.Run(name, func(t *testing.T) {
			started := time.Now()
			order := v.write(story.place, story.data).Data
			require.Less(t, time.Since(started), 3*time.Second, "nothing was to be waited for")
			require.Equal(t, "pending", order["state"])
			require.NotContains(t, order, "certificate")
			path := "certinext/orders/web/" + text(t, order["order_id"])
			require.Contains(t, v.refused(path+"/collect", nil), "is not finished")

			resp := v.persist(30*time.Second, path+"/collect", nil)
			require.NotEmpty(t, resp.LeaseID)
			leaf := ca.checkChain(t, resp)
			if story.data["csr"] != nil {
				requireKeyOf(t, leaf, key)
			} else {
				ca.check(t, resp)
			}
			// An answer may have been lost, so for a while the same requester gets it again.
			again := v.write(path+"/collect", nil)
			requireAgain(t, resp, again)
			time.Sleep(5 * time.Second)
			require.Contains(t, v.refused(path+"/collect", nil), "collected already")
			require.Len(t, ca.ordersFor(leaf.Subject.CommonName), 1)
		})
	}
}

func TestACancelledOrderIsCancelledAtTheCA(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{}) // no domain is validated, so orders stay open
	v := startVault(t)
	v.configure(ca)
	order := v.write("certinext/orders/web", map[string]any{"common_name": "www.example.com"}).Data
	path := "certinext/orders/web/" + text(t, order["order_id"])
	resp, err := v.api.Logical().DeleteWithDataWithContext(t.Context(), path, map[string][]string{"reason": {"Wrong name"}})
	require.NoError(t, err)
	require.Equal(t, "cancelled", resp.Data["state"])
	require.Equal(t, "Wrong name", ca.onlyOrder(t).CancelReason)
	require.Equal(t, "cancelled", v.read(path)["state"])
	_, err = v.api.Logical().DeleteWithContext(t.Context(), path)
	require.Contains(t, v.reason(http.StatusBadRequest, err), "is over")
	require.NotContains(t, v.stored("certinext", "order/"), "PRIVATE KEY")
}

func TestARequestWithANameAlwaysMeansTheSameOrder(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	named := map[string]any{"common_name": "www.example.com", "request_id": "deploy-42"}
	first := v.write("certinext/issue/web", named)
	second := v.write("certinext/issue/web", named)
	requireAgain(t, first, second)
	require.Len(t, ca.Orders(), 1)

	other := map[string]any{"common_name": "api.example.com", "request_id": "deploy-42"}
	require.Contains(t, v.refused("certinext/issue/web", other), "request_id")
	v.endLease(first)
	require.Equal(t, "issued", ca.onlyOrder(t).Status, "the second lease still holds the certificate")
	v.endLease(second)
	// The last lease known ends with the certificate, or at its own revocation.
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)

	// A name never shares with a request that has none, nor with another name.
	serials := make(map[any]bool)
	for _, request := range []map[string]any{
		{"common_name": "own.example.com"}, {"common_name": "own.example.com", "request_id": "blue"}, {"common_name": "own.example.com", "request_id": "green"},
	} {
		serials[v.write("certinext/issue/web", request).Data["serial_number"]] = true
	}
	require.Len(t, serials, 3)
	require.Contains(t, v.refused("certinext/issue/web", map[string]any{
		"common_name": "own.example.com", "request_id": "blue", "force_new": true,
	}), "force_new")
	require.Len(t, ca.ordersFor("own.example.com"), 3)
}

// Vault asks the engine once a minute to look after what nobody waits for.
func TestTheBackgroundFinishesAnOrderAndErasesTheKeyOfADeliveredOne(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("graceless", map[string]any{"delivery_grace": 0})
	order := v.write("certinext/orders/web", map[string]any{"common_name": "left.example.com"}).Data
	delivered := v.write("certinext/issue/graceless", map[string]any{"common_name": "taken.example.com"})
	require.Contains(t, v.stored("certinext", "order/open/graceless/"), "PRIVATE KEY", "the key waits for the end of the grace")

	path := "certinext/orders/web/" + text(t, order["order_id"])
	waitUntil(t, 130*time.Second, "the order is issued although nobody asks", func() bool {
		return v.read(path)["state"] == "issued"
	})
	require.Equal(t, false, v.read(path)["delivered"])
	waitUntil(t, 70*time.Second, "the delivered key is erased", func() bool {
		return v.stored("certinext", "order/open/graceless/") == ""
	})
	closed := v.read("certinext/orders/graceless/" + text(t, delivered.Data["order_id"]))
	require.Equal(t, delivered.Data["serial_number"], closed["serial_number"])
	resp := v.write(path+"/collect", nil)
	ca.check(t, resp)
	require.Len(t, ca.Orders(), 2)
}
