// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

// endLease revokes the lease of an answer, and returns when that is done.
func (c *caller) endLease(resp *api.Secret) {
	c.t.Helper()
	require.NotEmpty(c.t, resp.LeaseID, "the answer has no lease")
	require.NoError(c.t, c.api.Sys().RevokeWithOptionsWithContext(c.t.Context(), &api.RevokeOptions{LeaseID: resp.LeaseID, Sync: true}))
}

// renew renews the lease of an answer, and returns how long it now lives.
func (c *caller) renew(resp *api.Secret, increment time.Duration) time.Duration {
	c.t.Helper()
	renewed, err := c.api.Sys().RenewWithContext(c.t.Context(), resp.LeaseID, int(increment/time.Second))
	require.NoError(c.t, err)
	return time.Duration(renewed.LeaseDuration) * time.Second
}

func TestALeaseLivesUpToTheCertificateAndItsEndRevokes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, CertificateLifetime: 2 * time.Hour})
	v := startVault(t)
	v.configure(ca)
	v.role("short", map[string]any{"ttl": "10m", "max_ttl": "1h"})

	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	leaf := ca.check(t, resp)
	require.InDelta(t, time.Until(leaf.NotAfter).Seconds(), resp.LeaseDuration, 5, "the lease is the certificate's life")
	require.LessOrEqual(t, v.renew(resp, 24*time.Hour), time.Until(leaf.NotAfter)+time.Second)

	issuer := text(t, resp.Data["issuing_ca"])
	require.Equal(t, ocsp.Good, ocspStatus(t, leaf, issuer))
	v.endLease(resp)
	require.Equal(t, ocsp.Revoked, ocspStatus(t, leaf, issuer))
	serial := text(t, resp.Data["serial_number"])
	require.Equal(t, []string{serial}, v.list("certinext/certs/revoked"))
	require.Equal(t, "cessation-of-operation", v.read("certinext/cert/" + serial)["revocation_reason"])
	_, err := v.api.Sys().RenewWithContext(t.Context(), resp.LeaseID, 60)
	require.Error(t, err, "a lease that has ended was renewed")

	short := v.write("certinext/issue/short", map[string]any{"common_name": "short.example.com"})
	require.InDelta(t, 600, short.LeaseDuration, 5)
	require.InDelta(t, (30 * time.Minute).Seconds(), v.renew(short, 30*time.Minute).Seconds(), 5)
	require.LessOrEqual(t, v.renew(short, 24*time.Hour), time.Hour, "max_ttl bounds renewal")
	asked := v.write("certinext/issue/short", map[string]any{"common_name": "asked.example.com", "ttl": "5m"})
	require.InDelta(t, 300, asked.LeaseDuration, 5)
}

func TestAMountThatCutsLeasesShortSaysWhenTheCertificateGoes(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := bareVault(t)
	v.enable("certinext", api.MountConfigInput{MaxLeaseTTL: "1h"})
	v.configure(ca)
	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	leaf := ca.check(t, resp)
	require.Len(t, resp.Warnings, 1)
	require.Contains(t, resp.Warnings[0], "will be revoked at "+time.Now().Add(time.Hour).UTC().Format("2006-01-02T15"))
	require.Contains(t, resp.Warnings[0], leaf.NotAfter.UTC().Format("2006-01-02T15:04"))
	require.Contains(t, resp.Warnings[0], "max-lease-ttl")
	require.InDelta(t, 3600, resp.LeaseDuration, 5)
	require.LessOrEqual(t, v.renew(resp, 24*time.Hour), time.Hour)

	v.role("free", map[string]any{"generate_lease": false})
	require.Empty(t, v.write("certinext/issue/free", map[string]any{"common_name": "free.example.com"}).Warnings)
}

// A lease must never become one that Vault cannot end, and its certificate must not be forgotten.
func TestALeaseEndsWhileTheCAIsDownAndTheRevocationIsQueued(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 503})
	v.endLease(resp)
	serial := text(t, resp.Data["serial_number"])
	require.Equal(t, true, v.read("certinext/cert/" + serial)["revocation_queued"])
	require.Empty(t, v.list("certinext/certs/revoked"))
	leases, err := v.api.Logical().ListWithContext(t.Context(), "sys/leases/lookup/certinext/issue/web/")
	require.NoError(t, err)
	require.Nil(t, leases, "the lease is still there")

	ca.ClearFaults()
	revoked := v.write("certinext/revoke", map[string]any{"serial_number": serial})
	require.Equal(t, "revoked", revoked.Data["state"])
	require.Equal(t, false, v.read("certinext/cert/" + serial)["revocation_queued"])
}
