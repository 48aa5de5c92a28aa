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

// The older certificate is to be revoked while its reissue is under way: CERTInext will revoke both.
func TestTheNewerCertificateOfAnOrderToBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 5 * time.Minute })
		order := m.reissue(first, nil)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		resp := m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "queued", resp.Data["state"])
		time.Sleep(6 * time.Minute)
		got, err := m.attempt("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
		require.NoError(t, err)
		handed := !got.IsError()
		m.ca.ClearFaults()
		m.passes(5)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		require.False(t, handed, "handed over although its order's revocation is queued")
	})
}

// Nor is the lease of the newer one renewed.
func TestTheNewerCertificatesLeaseOfAnOrderToBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 5 * time.Minute })
		order := m.reissue(first, nil)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		require.Equal(t, "queued", m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": "key-compromise"}).Data["state"])
		time.Sleep(6 * time.Minute)
		got, err := m.attempt("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
		require.NoError(t, err)
		if got.IsError() {
			return
		}
		renewal, err := m.send(call{op: logical.RenewOperation, path: "issue/web", secret: renewed(got, time.Hour)})
		require.True(t, err != nil || renewal.IsError(), "renewed")
	})
}

// The answer to a reissue with revoke_previous is lost: what it replaces is revoked, or will be.
func TestACertificateThatALostReissueHasRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultLostReply, Times: 1})
		_, err := m.attempt("orders/web/"+first.Data["order_id"].(string)+"/reissue", map[string]any{"revoke_previous": true, "revoke_reason": "key-compromise"})
		require.NoError(t, err)
		again, err := m.attempt("issue/web", www)
		require.NoError(t, err)
		_, _ = m.send(call{op: logical.RenewOperation, path: "issue/web", secret: renewed(first, time.Hour)})
		require.True(t, again.IsError() || again.Data["serial_number"] != first.Data["serial_number"], "handed over although its revocation was sent")
	})
}

// The newer certificate is revoked, and with it, at CERTInext, the one that it replaced.
func TestTheCertificateBeforeOfARevokedOrder(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"clock right": 0, "two months ahead": 60 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				order := m.reissue(first, nil)
				second := m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
				m.later(ahead)
				_, err := m.attempt("revoke", map[string]any{"serial_number": second.Data["serial_number"], "reason": "key-compromise"})
				require.NoError(t, err)
				require.Equal(t, "revoked", m.ca.Orders()[0].Status)
				m.later(-ahead)
				renewal, err := m.send(call{op: logical.RenewOperation, path: "issue/web", secret: renewed(first, time.Hour)})
				require.True(t, err != nil || renewal.IsError(), "the lease of a revoked certificate was renewed")
				again, err := m.attempt("issue/web", www)
				require.NoError(t, err)
				require.True(t, again.IsError() || again.Data["serial_number"] != first.Data["serial_number"], "a revoked certificate was handed over")
			})
		})
	}
}
