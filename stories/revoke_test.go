// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestRevokeBySerialCertificateAndOrder(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		for i, request := range []func(resp *logical.Response) (string, map[string]any){
			func(r *logical.Response) (string, map[string]any) {
				return "revoke", map[string]any{"serial_number": r.Data["serial_number"]}
			},
			func(r *logical.Response) (string, map[string]any) {
				return "revoke", map[string]any{"serial_number": strings.ReplaceAll(r.Data["serial_number"].(string), ":", "-"), "reason": "superseded"}
			},
			func(r *logical.Response) (string, map[string]any) {
				return "revoke", map[string]any{"certificate": r.Data["certificate"], "reason": "keyCompromise"}
			},
			func(r *logical.Response) (string, map[string]any) {
				return "revoke/web", map[string]any{"order_id": r.Data["order_id"], "note": "moved; see ticket"}
			},
			func(r *logical.Response) (string, map[string]any) {
				return "revoke-with-key", map[string]any{"serial_number": r.Data["serial_number"], "private_key": r.Data["private_key"]}
			},
		} {
			issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
			path, data := request(issued)
			first := m.write(path, data)
			require.Equal(t, "revoked", first.Data["state"])
			require.InDelta(t, time.Now().Unix(), first.Data["revocation_time"], 2)
			require.Equal(t, "revoked", ca.Orders()[i].Status)

			again := m.write(path, data)
			require.Equal(t, first.Data["revocation_time"], again.Data["revocation_time"], "revoking is idempotent")
			cert := m.read("cert/" + issued.Data["serial_number"].(string)).Data
			require.Equal(t, first.Data["revocation_time"], cert["revocation_time"])
			m.endLease(issued)
		}
		require.Len(t, m.list("certs/revoked"), 5)
		require.Equal(t, 5, ca.Calls()[certinexttest.OpRevoke], "a revoked certificate was revoked again")
	})
}

func TestRevokeOfARoleTouchesOnlyThatRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		serial := issued.Data["serial_number"]
		theirs := m.refused("revoke/other", map[string]any{"serial_number": serial})
		nobodys := m.refused("revoke/other", map[string]any{"serial_number": "01:02:03"})
		require.Equal(t, strings.ReplaceAll(theirs, serial.(string), "X"), strings.ReplaceAll(nobodys, "01:02:03", "X"),
			"the answer tells whether another team's serial number exists")
		require.Contains(t, m.refused("revoke/other", map[string]any{"order_id": issued.Data["order_id"]}), "no order")
		require.Equal(t, "issued", ca.Orders()[0].Status)
	})
}

func TestRevokeRefusesByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		serial := issued.Data["serial_number"]
		der, err := x509.MarshalECPrivateKey(newKey(t, elliptic.P256()))
		require.NoError(t, err)
		otherKey := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
		for name, c := range map[string]struct {
			path string
			data map[string]any
			want string
		}{
			"no name":                      {"revoke", nil, "serial_number:"},
			"two names":                    {"revoke", map[string]any{"serial_number": serial, "certificate": "x"}, "serial_number:"},
			"a serial number that is none": {"revoke", map[string]any{"serial_number": "xyz"}, "serial_number:"},
			"a certificate that is none":   {"revoke", map[string]any{"certificate": "xyz"}, "certificate:"},
			"a reason that is none":        {"revoke", map[string]any{"serial_number": serial, "reason": "bored"}, "reason"},
			"a reason CERTInext lacks":     {"revoke", map[string]any{"serial_number": serial, "reason": "ca-compromise"}, "ca-compromise"},
			"another key":                  {"revoke-with-key", map[string]any{"serial_number": serial, "private_key": otherKey}, "private_key:"},
			"a key that is none":           {"revoke-with-key", map[string]any{"serial_number": serial, "private_key": "x"}, "private_key:"},
			"an unknown field":             {"revoke", map[string]any{"serial_number": serial, "resaon": "superseded"}, "unknown field: resaon"},
		} {
			t.Log(name)
			require.Contains(t, m.refused(c.path, c.data), c.want)
		}
		require.Empty(t, m.list("certs/revoked"))
	})
}

func TestARevocationThatTheCACannotTakeIsQueuedAndDrained(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		leased := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		asked := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})

		m.endLease(leased) // succeeds: a lease never becomes irrevocable because of the CA
		resp := m.write("revoke", map[string]any{"serial_number": asked.Data["serial_number"], "reason": "superseded"})
		require.Equal(t, "queued", resp.Data["state"])
		require.NotEmpty(t, resp.Warnings)
		require.Equal(t, true, m.read("cert/" + asked.Data["serial_number"].(string)).Data["revocation_queued"])

		for range 3 {
			time.Sleep(10 * time.Minute)
			m.pass()
		}
		require.Empty(t, m.list("certs/revoked"))
		queue := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data
		require.Len(t, queue["keys"], 2)
		info := queue["key_info"].(map[string]any)[asked.Data["serial_number"].(string)].(map[string]any)
		require.Equal(t, "superseded", info["reason"])
		require.Positive(t, info["attempts"])
		require.NotEmpty(t, info["last_error"])
		m.start() // the queue is durable
		ca.ClearFaults()
		time.Sleep(40 * time.Minute)
		m.pass()
		require.Len(t, m.list("certs/revoked"), 2)
		for _, o := range ca.Orders() {
			require.Equal(t, "revoked", o.Status)
		}
		require.Equal(t, "superseded", ca.Orders()[1].RevokeReason)
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Equal(t, false, m.read("cert/" + asked.Data["serial_number"].(string)).Data["revocation_queued"])
	})
}

func TestARevocationIsQueuedWhileTheAccountCannotSignIn(t *testing.T) {
	for name, fault := range map[string]certinexttest.Fault{
		"an outage":    {Operation: certinexttest.OpToken, Kind: certinexttest.FaultServerError},
		"a rate limit": {Operation: certinexttest.OpToken, Kind: certinexttest.FaultRateLimit},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				ca.KillTokens()
				ca.Inject(fault)
				resp := m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
				require.Equal(t, "queued", resp.Data["state"])
				ca.ClearFaults()
				time.Sleep(time.Hour)
				m.pass()
				require.Equal(t, "revoked", ca.Orders()[0].Status)
			})
		})
	}
}

func TestTheEndOfALeaseLeavesAQueuedRevocationAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		named := map[string]any{"common_name": "www.example.com", "request_id": "r1"}
		shared, _ := m.write("issue/web", named), m.write("issue/web", named) // two leases on one certificate
		single := m.write("issue/web", map[string]any{"common_name": "api.example.com"})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		for _, issued := range []*logical.Response{shared, single} {
			m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
			m.endLease(issued)
		}
		ca.ClearFaults()
		time.Sleep(time.Hour)
		m.pass()
		for _, o := range ca.Orders() {
			require.Equal(t, "revoked", o.Status)
			require.Equal(t, "key-compromise", o.RevokeReason)
		}
	})
}

func TestRevocationsThatHaveToWaitKeepNoOtherFromItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", www)
		for i := range 300 { // certificates of which one of two leases has ended
			serial := fmt.Sprintf("00-%04x", i)
			e, err := logical.StorageEntryJSON("revocation/"+serial, map[string]any{
				"version": 1, "serial": serial, "reason": "cessation-of-operation", "due": false, "next": time.Now().Add(100 * 24 * time.Hour),
			})
			require.NoError(t, err)
			require.NoError(t, m.storage.Put(t.Context(), e))
		}
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 1})
		m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestTheEndOfAnExpiredCertificatesLeaseAsksNothingOfTheCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		time.Sleep(31 * 24 * time.Hour)
		ca.ResetCalls()
		m.endLease(issued)
		require.Empty(t, ca.Calls())
		resp := m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
		require.Equal(t, "expired", resp.Data["state"])
		require.Empty(t, ca.Calls())
	})
}

func TestACertificateRevokedInThePortalEndsItsLeaseQuietly(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		// The reply to the revocation is lost, so the mount does not know of it.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLostReply, Times: 1})
		m.endLease(issued)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
		time.Sleep(time.Hour)
		m.pass()
		require.Len(t, m.list("certs/revoked"), 1)
	})
}

func TestALeaseWhoseAnswerWasLostDoesNotKeepTheCertificateForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/short", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "ttl": "1h"})
		request := map[string]any{"common_name": "www.example.com"}
		m.write("issue/short", request) // Vault died before it stored this lease
		m.start()
		m.endLease(m.write("issue/short", request))
		require.Equal(t, "issued", ca.Orders()[0].Status)
		time.Sleep(2 * time.Hour)
		m.pass()
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestLeasesAreRenewedUpToTheCertificatesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, monthly(certinexttest.Live))
		m.write("roles/short", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "ttl": "240h"})
		issued := m.write("issue/short", map[string]any{"common_name": "www.example.com"})
		require.Equal(t, 240*time.Hour, issued.Secret.TTL)
		renew := func() *logical.Response {
			return m.must(call{op: logical.RenewOperation, path: "issue/short", secret: issued.Secret})
		}
		time.Sleep(24 * time.Hour)
		require.Equal(t, 240*time.Hour, renew().Secret.TTL)
		time.Sleep(27 * 24 * time.Hour)
		ttl := renew().Secret.TTL
		require.Less(t, ttl, 49*time.Hour)
		require.Greater(t, ttl, 46*time.Hour)
	})
}

func TestAMountThatCutsALeaseShortSaysWhenTheCertificateWillBeRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.system.MaxLeaseTTLVal = 24 * time.Hour
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Equal(t, 24*time.Hour, issued.Secret.TTL)
		require.Len(t, issued.Warnings, 1)
		require.Contains(t, issued.Warnings[0], time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)[:16])
		require.Contains(t, issued.Warnings[0], "max-lease-ttl")

		m.write("roles/leaseless", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "generate_lease": false})
		without := m.write("issue/leaseless", map[string]any{"common_name": "www.example.com", "ttl": "1h"})
		require.Nil(t, without.Secret)
		require.Len(t, without.Warnings, 1)
		require.Contains(t, without.Warnings[0], "ttl has no effect")
	})
}
