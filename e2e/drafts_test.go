// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A developer keeps a draft, somebody else has the budget and promotes it, and the developer collects.
func TestADraftOfOnePersonIsPromotedByAnotherAndCollectedByTheFirst(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"order_access": "role"})
	person := func(name, policy string) *caller {
		require.NoError(t, v.api.Sys().PutPolicyWithContext(t.Context(), name, policy))
		return v.as(v.write("auth/token/create", map[string]any{"policies": name, "ttl": "1h"}).Auth.ClientToken)
	}
	developer := person("developer", `
path "certinext/orders/web"           { capabilities = ["update"] allowed_parameters = { "save_as_draft" = [true], "common_name" = [] } required_parameters = ["save_as_draft"] }
path "certinext/orders/web/+"         { capabilities = ["read", "delete"] }
path "certinext/orders/web/+/collect" { capabilities = ["update"] }
`)
	approver := person("approver", `
path "certinext/orders/web/+" { capabilities = ["read", "update"] allowed_parameters = { "promote" = [] } }
`)
	_, err := developer.send("certinext/orders/web", map[string]any{"common_name": "www.example.com"})
	developer.forbidden("an order that is no draft", err)

	draft := developer.write("certinext/orders/web", map[string]any{"common_name": "www.example.com", "save_as_draft": true})
	path := "certinext/orders/web/" + text(t, draft.Data["order_id"])
	require.Equal(t, "draft", draft.Data["state"])
	require.Equal(t, "requester", draft.Data["waits_for"])
	require.Equal(t, ca.onlyOrder(t).RequestID, draft.Data["ca_request_id"])
	_, err = developer.send(path, map[string]any{"promote": true})
	developer.forbidden("promoting one's own draft", err)
	_, err = approver.send("operator/"+path, map[string]any{"never_placed": true})
	approver.forbidden("settling by hand", err)
	require.Empty(t, ca.onlyOrder(t).ID, "a draft has no order number")

	require.NotEmpty(t, text(t, approver.write(path, map[string]any{"promote": true}).Data["ca_order_id"]))
	ca.check(t, developer.persist(30*time.Second, path+"/collect", nil))
	require.Equal(t, "issued", ca.onlyOrder(t).Status)

	second := developer.write("certinext/orders/web", map[string]any{"common_name": "api.example.com", "save_as_draft": true})
	path = "certinext/orders/web/" + text(t, second.Data["order_id"])
	gone, err := developer.api.Logical().DeleteWithContext(t.Context(), path)
	require.NoError(t, err)
	require.Equal(t, "cancelled", gone.Data["state"])
	require.Equal(t, "cancelled", ca.ordersFor("api.example.com")[0].Status)
	require.NotContains(t, v.stored("certinext", "order/closed/"), "PRIVATE KEY")
}

// An EV order waits for its domain, its organization and an approver, one after the other, and says so each time.
func TestAnEVOrderSaysWhomItWaitsForUntilItIsIssued(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{})
	v := startVault(t)
	v.configure(ca)
	v.role("ev", map[string]any{
		"product_code": "850", "product_variant": "ev", "organization_number": certinexttest.UnvettedOrganization, "issue_timeout": "2s",
	})
	request := map[string]any{"common_name": "www.example.com"}
	reason := v.refused("certinext/issue/ev", request)
	require.Contains(t, reason, "publish the TXT record _emudhra-challenge.www.example.com")
	path := "certinext/orders/ev/" + orderID.FindString(reason)
	order := v.read(path)
	require.Equal(t, "domain-owner", order["waits_for"])
	require.Contains(t, strings.Join(texts(order["needs"]), " "), text(t, v.read(path + "/dcv")["domains"].([]any)[0].(map[string]any)["dns_value"]))

	ca.VerifyDomain("www.example.com")
	require.Contains(t, v.refused("certinext/issue/ev", request), "CERTInext verifies the organization")
	require.Equal(t, "organization", v.read(path)["waits_for"])
	require.NoError(t, ca.Vet(certinexttest.UnvettedOrganization))
	require.Contains(t, v.refused("certinext/issue/ev", request), "has to approve the order")
	require.Equal(t, "approver", v.read(path)["waits_for"])
	require.NoError(t, ca.Approve(ca.onlyOrder(t).ID))
	ca.check(t, v.persist(30*time.Second, "certinext/issue/ev", request))
	require.Equal(t, 1, ca.onlyOrder(t).Creates)

	// The next one is refused by the approver.
	v.role("ev", map[string]any{"product_code": "850", "product_variant": "ev", "organization_number": certinexttest.DefaultOrganization, "issue_timeout": "2s"})
	ca.VerifyDomain("shop.example.com")
	request["common_name"] = "shop.example.com"
	path = "certinext/orders/ev/" + orderID.FindString(v.refused("certinext/issue/ev", request))
	require.NoError(t, ca.Reject(ca.ordersFor("shop.example.com")[0].ID, "wrong legal entity"))
	// What cannot be undone is believed when it was seen twice, some time apart.
	require.Contains(t, v.refused("certinext/issue/ev", request), "nothing follows from that until a second look")
	first := v.read(path)
	require.Equal(t, "pending", first["state"])
	require.Contains(t, strings.Join(texts(first["needs"]), " "), "CERTInext says that the order is rejected")
	require.Contains(t, v.stored("certinext", "order/open/ev/"), "PRIVATE KEY", "the key is gone after one look")
	waitUntil(t, 60*time.Second, "the second look", func() bool {
		return strings.Contains(v.refused("certinext/issue/ev", request), "is rejected: wrong legal entity")
	})
	require.Equal(t, "rejected", v.read(path)["state"])
	require.NotContains(t, v.stored("certinext", "order/closed/"), "PRIVATE KEY")
}
