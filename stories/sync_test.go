// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// elsewhere orders a certificate as another program with the same account does, and returns CERTInext's number.
func elsewhere(t *testing.T, ca *certinexttest.Server, name string) (*certinext.Client, string) {
	t.Helper()
	return elsewhereWith(t, ca, certinexttest.DefaultClientSecret, name)
}

// elsewhereWith is elsewhere with another secret of the OAuth client.
func elsewhereWith(t *testing.T, ca *certinexttest.Server, secret, name string) (*certinext.Client, string) {
	t.Helper()
	client := &certinext.Client{
		BaseURL: sandboxURL, HTTPClient: ca.Client(),
		Credentials: certinext.OAuth{ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinext.Secret(secret)},
	}
	if ca.Dialect != certinexttest.Live {
		client.Credentials = certinext.AccessKey{AccountNumber: certinexttest.DefaultAccountNumber, AccessKey: certinexttest.DefaultAccessKey}
	}
	if ca.Dialect == certinexttest.V1 {
		client.Version = certinext.V1
	}
	agreement := certinext.Agreement{SignerName: "Web Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", Accepted: true}
	request := certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: name, CSR: csr(t, newKey(t, elliptic.P256()), name),
		Requestor: certinext.Contact{Name: "Web Team", Email: "web@example.com"}, Agreement: &agreement,
	}
	if ca.Dialect == certinexttest.V1 {
		request.Organization = &certinext.OrganizationRef{Number: certinexttest.DefaultOrganization} // whose validated domains count
	}
	order, err := client.CreateOrder(t.Context(), request)
	require.NoError(t, err)
	if ca.Dialect == certinexttest.Documented {
		err = client.AcceptAgreement(t.Context(), certinext.FamilySSL, order.ID, agreement)
	}
	require.NoError(t, err)
	return client, order.ID
}

func TestSyncTakesInWhatWasOrderedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		require.Equal(t, "never", m.read("sync").Data["state"])
		ours := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		_, theirs := elsewhere(t, ca, "shop.example.com")
		client, gone := elsewhere(t, ca, "gone.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, gone, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err)

		require.Equal(t, "running", m.write("sync", nil).Data["state"])
		synctest.Wait()
		status := m.read("sync").Data
		require.Equal(t, "done", status["state"], status)
		require.Equal(t, []any{3, 1, 1}, []any{status["seen"], status["imported"], status["unavailable"]})

		var imported map[string]any
		for _, serial := range m.list("certs") {
			if c := m.read("cert/" + serial).Data; c["ca_order_id"] == theirs {
				imported = c
			}
		}
		require.NotNil(t, imported, "the certificate that was ordered elsewhere is not there")
		require.Empty(t, imported["role"])
		require.NotEmpty(t, imported["ca_chain"])
		require.Equal(t, "shop.example.com", parseCertificate(t, imported["certificate"].(string)).Subject.CommonName)

		require.Contains(t, m.refused("revoke/web", map[string]any{"serial_number": imported["serial_number"]}), "no certificate", "a team must not reach it")
		m.write("revoke", map[string]any{"serial_number": imported["serial_number"]})
		order, _ := ca.Order(theirs)
		require.Equal(t, "revoked", order.Status)
		m.endLease(ours)

		downloads := ca.Calls()[certinexttest.OpCertificate]
		m.write("sync", nil)
		synctest.Wait()
		require.Equal(t, downloads, ca.Calls()[certinexttest.OpCertificate], "what is known was downloaded again")
	})
}

func TestSyncNoticesRevocationsThatDidNotGoThroughTheMount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		client, _ := elsewhere(t, ca, "shop.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, issued.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		m.pass() // its grace is over, so the engine does not look at the order any more
		m.write("sync", nil)
		synctest.Wait()
		require.Equal(t, 1, m.read("sync").Data["revoked"])
		require.Equal(t, []string{issued.Data["serial_number"].(string)}, m.list("certs/revoked"))
		require.Equal(t, "key-compromise", m.read("cert/" + issued.Data["serial_number"].(string)).Data["revocation_reason"])
	})
}

func TestSyncLeavesExpiredCertificatesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		elsewhere(t, ca, "shop.example.com")
		time.Sleep(60 * 24 * time.Hour)
		m.write("sync", nil)
		synctest.Wait()
		require.Empty(t, m.list("certs"))
		m.write("sync", map[string]any{"include_expired": true})
		synctest.Wait()
		require.Len(t, m.list("certs"), 1)
	})
}

// A process that dies in the middle leaves a synchronization that the next one goes on with.
func TestSyncGoesOnAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		elsewhere(t, ca, "shop.example.com")
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultLatency, Delay: time.Hour, Times: 1})
		m.write("sync", nil)
		time.Sleep(time.Second)
		m.backend.Cleanup(t.Context())
		m.start()
		require.Equal(t, "running", m.read("sync").Data["state"])
		m.pass()
		synctest.Wait()
		require.Equal(t, "done", m.read("sync").Data["state"], m.read("sync").Data)
		require.Len(t, m.list("certs"), 1)
	})
}

// Records that cannot be read are no reason to believe that all is known.
func TestSyncSaysWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		elsewhere(t, ca, "shop.example.com")
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Times: 20})
		m.write("sync", nil)
		time.Sleep(10 * time.Minute)
		status := m.read("sync").Data
		require.Equal(t, "failed", status["state"])
		require.Contains(t, status["last_error"], "503")
		ca.ClearFaults()
		m.write("sync", nil)
		synctest.Wait()
		require.Equal(t, "done", m.read("sync").Data["state"])
		_, err := m.send(call{op: logical.ListOperation, path: "certs"})
		require.NoError(t, err)
	})
}

func (m *mount) synchronize() map[string]any {
	m.t.Helper()
	m.write("sync", nil)
	synctest.Wait()
	status := m.read("sync").Data
	require.Equal(m.t, "done", status["state"], status)
	return status
}

// Whoever synchronizes every day notices a revocation, however old the order is.
func TestADailySyncNoticesTheRevocationOfAnOldOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		for range 5 {
			time.Sleep(24 * time.Hour)
			m.pass()
			m.synchronize()
		}
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, issued.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		for range 5 {
			time.Sleep(24 * time.Hour)
			m.synchronize()
		}
		require.Equal(t, []string{issued.Data["serial_number"].(string)}, m.list("certs/revoked"))
	})
}

// Vetting takes weeks: an order that was not issued yet when it was first seen is taken in when it is.
func TestADailySyncTakesInWhatWasIssuedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.Configure(func(ca *certinexttest.Server) { ca.IssueDelay = 7 * 24 * time.Hour })
		elsewhere(t, m.ca, "shop.example.com")
		for range 12 {
			m.synchronize()
			time.Sleep(24 * time.Hour)
		}
		require.Len(t, m.list("certs"), 1)
	})
}

// What could not be downloaded is counted as failed, and has to be tried again by one of the next.
func TestADailySyncTriesAgainWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		elsewhere(t, m.ca, "shop.example.com")
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError})
		for range 5 {
			m.write("sync", nil)
			time.Sleep(24 * time.Hour)
		}
		require.Equal(t, 1, m.read("sync").Data["failed"])
		m.ca.ClearFaults()
		for range 5 {
			m.synchronize()
			time.Sleep(24 * time.Hour)
		}
		require.Len(t, m.list("certs"), 1, "the certificate that failed once is never asked for again")
	})
}

// An imported certificate is revoked in every dialect.
func TestImportedCertificatesAreRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		_, theirs := elsewhere(t, ca, "shop.example.com")
		m.synchronize()
		serial := m.list("certs")[0]
		for _, path := range []string{"cert/" + serial + "/raw", "cert/" + serial + "/download/crt", "cert/" + serial} {
			m.read(path)
		}
		require.Contains(t, m.refused("renew/web/"+serial, nil), "no certificate")
		m.write("revoke", map[string]any{"serial_number": serial, "reason": "superseded"})
		o, _ := ca.Order(theirs)
		require.Equal(t, "revoked", o.Status)
	})
}

func TestASynchronizationThatRunsIsNotWidened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultLatency, Delay: time.Second, Times: 1})
		require.Equal(t, false, m.write("sync", nil).Data["include_expired"])
		require.Contains(t, m.refused("sync", map[string]any{"include_expired": true}), "include_expired:")
		m.write("sync", nil)
		time.Sleep(time.Minute)
		require.Equal(t, true, m.write("sync", map[string]any{"include_expired": true}).Data["include_expired"])
		synctest.Wait()
	})
}
