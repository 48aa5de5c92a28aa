// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestTwoMountsOfOneAccountLeaveEachOtherAlone: what one of them has ordered, the other neither takes for its own, nor hands over, nor
// ends, whatever happens to its own orders for the same names.
func TestTwoMountsOfOneAccountLeaveEachOtherAlone(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		one, two := newMount(t, ca), newMount(t, ca)
		const asked = "accessor-of-both"
		issue := func(m *mount, name string) *logical.Response {
			return m.must(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": name}, accessor: asked})
		}
		theirs := issue(one, "www.example.com")
		orderOf := theirs.Data["ca_order_id"].(string)
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		waiting := one.write("orders/web", map[string]any{"common_name": "waiting.example.com"}).Data
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
		for _, o := range ca.Orders() {
			if o.Status == "pending-approval" {
				require.Equal(t, waiting["ca_order_id"], o.ID)
			}
		}
		time.Sleep(time.Minute)

		// The same request to the other mount buys a certificate of its own, whatever synchronization has brought in.
		two.write("sync", nil)
		synctest.Wait()
		require.Equal(t, "done", two.read("sync").Data["state"])
		ours := issue(two, "www.example.com")
		require.NotEqual(t, theirs.Data["serial_number"], ours.Data["serial_number"])

		// An order whose answer was lost is found by its own mark, and an operator's word does not make it the other's.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Times: 1 << 20})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		doubtful := two.write("orders/web", map[string]any{"common_name": "www.example.com", "force_new": true}).Data
		path := "operator/orders/web/" + doubtful["order_id"].(string)
		require.NotEmpty(t, two.refused(path, map[string]any{"ca_order_id": orderOf}))
		ca.ClearFaults()
		require.NotEmpty(t, two.refused(path, map[string]any{"ca_order_id": orderOf}))
		two.passes(3)
		require.NotEqual(t, orderOf, two.read("orders/web/" + doubtful["order_id"].(string)).Data["ca_order_id"])

		// The end of its own leases and orders is no end of the other's.
		two.must(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(ours)})
		two.must(call{op: logical.DeleteOperation, path: "orders/web/" + doubtful["order_id"].(string)})
		two.passes(24)
		two.write("sync", nil)
		synctest.Wait()
		for _, o := range ca.Orders() {
			switch o.ID {
			case orderOf, waiting["ca_order_id"]:
				require.Equal(t, "issued", o.Status, "the other mount's %s", o.Domain)
			case ours.Data["ca_order_id"]:
				require.Equal(t, "revoked", o.Status)
			}
		}
		require.Empty(t, one.list("certs/revoked"))
		require.Contains(t, two.list("certs/revoked"), ours.Data["serial_number"])
		require.NotContains(t, two.list("certs/revoked"), theirs.Data["serial_number"])

		// And the other one goes on.
		one.passes(2)
		require.Equal(t, "issued", one.read("orders/web/" + waiting["order_id"].(string)).Data["state"])
		one.endLease(theirs)
		require.Equal(t, "revoked", one.ca.Orders()[0].Status)
	})
}
