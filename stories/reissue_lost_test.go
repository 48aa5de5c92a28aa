// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The reissue was downloaded and handed over in one go; the process dies before the entry says so.
func TestRevokeAfterRestartTakesTheCollectedReissueDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Minute })
		id := m.reissue(first, nil).Data["order_id"].(string)
		time.Sleep(11 * time.Minute)
		m.write("orders/web/"+id+"/collect", nil)
		require.Contains(t, m.refused("revoke", map[string]any{"serial_number": first.Data["serial_number"]}), "was reissued")
		m.backend.Cleanup(t.Context())
		m.start()
		require.Contains(t, m.refused("revoke", map[string]any{"serial_number": first.Data["serial_number"]}), "was reissued")
		require.Equal(t, "issued", m.ca.Orders()[0].Status, "the new certificate was handed over")
	})
}

// For one download CERTInext still delivers what it did before (which the portal reissued), long after the reissue was asked for.
func TestATakenReissueIsNotGivenUpForOneStaleDownload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		passHours(m, 2)
		reissueInPortal(t, m, first)
		var stale atomic.Pointer[[]byte]
		var n atomic.Int32
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
			if p := stale.Load(); p != nil && bytes.Contains(body, []byte("BEGIN CERTIFICATE")) && n.Add(1) <= 2 {
				return *p
			}
			return body
		}}})
		old := captureCertificate(t, m, first.Data["ca_order_id"].(string))
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 3 * time.Hour })
		order := m.reissue(first, nil)
		require.Equal(t, "pending", order.Data["state"])
		stale.Store(&old)
		passHours(m, 10)
		o := m.read("orders/web/" + order.Data["order_id"].(string)).Data
		require.Equal(t, "issued", o["state"], "%v", o["timeline"])
	})
}

// The present certificate is revoked while the new one is on its way from CERTInext.
func TestRevokedWhileTheReissueIsDownloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, body []byte) []byte {
			if bytes.Contains(body, []byte("BEGIN CERTIFICATE")) {
				time.Sleep(3 * time.Second)
			}
			return body
		}}})
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 10 * time.Minute })
		id := m.reissue(first, nil).Data["order_id"].(string)
		time.Sleep(11 * time.Minute)
		var got *logical.Response
		go func() { got, _ = m.send(call{op: logical.UpdateOperation, path: "orders/web/" + id + "/collect"}) }()
		time.Sleep(time.Second)
		m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": "key-compromise"})
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		time.Sleep(time.Minute)
		synctest.Wait()
		passHours(m, 5)
		require.Len(t, m.list("certs/revoked"), len(m.list("certs")), "CERTInext has revoked both; handed over: %v", got.Data["serial_number"])
	})
}

// The renewal was issued, nobody got it, and somebody deleted it.
func TestADeletedIssuedRenewalIsNotTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		path := "renew/web/" + first.Data["serial_number"].(string)
		o := m.write(path, map[string]any{"async": true})
		m.pass()
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + o.Data["order_id"].(string)})
		resp, err := m.send(call{op: logical.UpdateOperation, path: path})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "%v", resp)
	})
}

// The write of the revocation of the certificate before fails once.
func TestRevokePreviousIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": false}})
		passHours(m, 2)
		old := strings.ReplaceAll(first.Data["serial_number"].(string), ":", "-")
		m.storage.failing(func(key string) error {
			if strings.Contains(key, old) && m.ca.Calls()[certinexttest.OpReissue] > 0 {
				return errors.New("storage is away")
			}
			return nil
		})
		_, _ = m.send(call{op: logical.UpdateOperation, path: "orders/web/" + first.Data["order_id"].(string) + "/reissue", data: map[string]any{
			"revoke_previous": true, "revoke_reason": "keyCompromise",
		}})
		m.storage.failing(nil)
		passHours(m, 24)
		m.synchronize()
		require.Len(t, m.list("certs"), 2)
		require.Contains(t, m.list("certs/revoked"), first.Data["serial_number"].(string))
	})
}

// The reissue was never taken, and the request number has changed for another reason (a reissue in the portal that was withdrawn).
func TestALostReissueWhoseOrderHasAnotherRequestNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		re := regexp.MustCompile(`"requestId":"[^"]*"`)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultDropped, Times: 1})
		order := m.reissue(first, nil)
		require.Equal(t, "unresolved", order.Data["state"])
		m.endLease(first)
		m.backend.Cleanup(t.Context())
		m.startWith(&http.Client{Transport: &rewriting{next: m.ca.Client().Transport, edit: func(_ string, b []byte) []byte {
			return re.ReplaceAll(b, []byte(`"requestId":"REQ-withdrawn"`))
		}}})
		passHours(m, 24*5)
		path := "orders/web/" + order.Data["order_id"].(string)
		o := m.read(path).Data
		require.NotContains(t, []any{"pending", "unresolved"}, o["state"], "%v", o["timeline"])
	})
}

func captureCertificate(t *testing.T, m *mount, id string) []byte {
	t.Helper()
	var body []byte
	tap := &rewriting{next: m.ca.Client().Transport, edit: func(_ string, b []byte) []byte {
		if bytes.Contains(b, []byte("BEGIN CERTIFICATE")) {
			body = bytes.Clone(b)
		}
		return b
	}}
	client := &certinext.Client{
		BaseURL: sandboxURL, HTTPClient: &http.Client{Transport: tap},
		Credentials: certinext.OAuth{ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret},
	}
	_, err := client.Certificate(t.Context(), "ssl", id)
	require.NoError(t, err)
	require.NotEmpty(t, body)
	return body
}

// Handed over, then the process dies before the key is erased, then the portal reissues.
func TestAnAnsweredOrderThatThePortalReissues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.backend.Cleanup(t.Context())
		reissueInPortal(t, m, first)
		m.start()
		passHours(m, 24*20)
		id := first.Data["order_id"].(string)
		o := m.read("orders/web/" + id).Data
		entry, err := m.storage.Get(t.Context(), "order/open/web/"+id)
		require.NoError(t, err)
		require.Equal(t, "issued", o["state"], "the key rests in storage for 20 days: %v; %v", entry != nil && bytes.Contains(entry.Value, []byte("PRIVATE KEY")), o["last_error"])
	})
}

// The engine has seen that somebody else has reissued the order, and then the lease of the old certificate, which ended meanwhile, is settled.
func TestSomebodyElsesReissueIsRevokedByTheOldLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultDropped, Times: 1})
		order := m.reissue(first, nil)
		reissueInPortal(t, m, first)
		m.endLease(first)
		passHours(m, 48)
		require.Equal(t, "failed", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
		remote, _ := m.ca.Order(first.Data["ca_order_id"].(string))
		require.Equal(t, "issued", remote.Status, "the certificate that somebody else uses, which the engine has seen, was revoked")
	})
}

// Handed over by a process that has died; CERTInext does not serve the certificate at this moment. DELETE has to refuse.
func TestDeletingAnAnsweredOrderWhoseCertificateIsAway(t *testing.T) {
	for name, away := range map[string]func(m *mount, first *logical.Response){
		"outage": func(m *mount, _ *logical.Response) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError})
		},
		"reissued in the portal": func(m *mount, first *logical.Response) { reissueInPortal(m.t, m, first) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				path := "orders/web/" + first.Data["order_id"].(string)
				resp, err := m.send(call{op: logical.DeleteOperation, path: path})
				require.NoError(t, err)
				require.Contains(t, resp.Error().Error(), "was handed over")
				m.backend.Cleanup(t.Context())
				m.start()
				m.t = t
				away(m, first)
				resp, err = m.send(call{op: logical.DeleteOperation, path: path})
				require.NoError(t, err)
				require.Contains(t, resp.Error().Error(), "was handed over")
				remote, _ := m.ca.Order(first.Data["ca_order_id"].(string))
				require.Equal(t, "issued", remote.Status, "a certificate in use was revoked")
			})
		})
	}
}

// One of the old certificate's leases was never released, since its answer was lost.
func TestUnclaimedReissueAfterALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := reissuing(t, "842")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true, "pickup_window": "48h", "ttl": "2h"}})
		placed := m.write("orders/web", map[string]any{"common_name": "c.example.com"})
		m.pass()
		path := "orders/web/" + placed.Data["order_id"].(string) + "/collect"
		first := m.write(path, nil)
		require.Equal(t, first.Data["serial_number"], m.write(path, nil).Data["serial_number"])
		m.reissue(first, nil)
		m.pass()
		time.Sleep(10 * time.Minute)
		m.endLease(first)
		passHours(m, 100)
		remote, _ := m.ca.Order(first.Data["ca_order_id"].(string))
		require.Equal(t, "revoked", remote.Status, "neither certificate is anybody's, and both live on; queue %v", m.list("certs/revocation-queue"))
	})
}

// The end of the lease on the newest certificate, which was queued while CERTInext was away, after a newer sync'd portal reissue.
func TestAskedRevocationQueuedThenThePortalReissues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		passHours(m, 2)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		require.Equal(t, "queued", m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"]}).Data["state"])
		reissueInPortal(t, m, first)
		time.Sleep(time.Minute)
		m.synchronize()
		m.ca.ClearFaults()
		passHours(m, 5)
		remote, _ := m.ca.Order(first.Data["ca_order_id"].(string))
		require.Equal(t, "revoked", remote.Status)
		require.Len(t, m.list("certs/revoked"), 2)
	})
}
