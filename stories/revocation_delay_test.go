// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// delayed returns a mount whose role holds revocations back for two hours.
func delayed(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := newMount(t, ca)
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revocation_delay": "2h"}})
	return m
}

// signing is a request with a CSR of a key of its own.
func signing(t *testing.T, name string) map[string]any {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, key)
	require.NoError(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	return map[string]any{"csr": string(text), "common_name": name}
}

// waits lets time pass, with the passes that Vault runs meanwhile.
func (m *mount) waits(d time.Duration) {
	m.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(10*time.Minute, time.Until(end)))
		m.pass()
	}
}

func serialOf(resp *logical.Response) string { return resp.Data["serial_number"].(string) }

func TestARevocationIsHeldBackForTheRolesDelay(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := delayed(t, ca)
		issued := m.write("issue/web", www)
		order := m.list("orders/web")[0]
		require.Empty(t, m.read("cert/" + serialOf(issued)).Data["revocation_held_until"])
		until := time.Now().Add(2 * time.Hour).UTC().Format(time.RFC3339)
		m.endLease(issued)
		m.waits(110 * time.Minute)
		require.Zero(t, m.revokedAtCA(), "before the delay is over")
		cert := m.read("cert/" + serialOf(issued)).Data
		require.Equal(t, until, cert["revocation_held_until"])
		require.Equal(t, false, cert["revocation_queued"])
		info := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data["key_info"].(map[string]any)
		require.Equal(t, until, info[serialOf(issued)].(map[string]any)["held_until"])
		require.Contains(t, strings.Join(m.read("orders/web/"+order).Warnings, "\n"), until)

		m.start()
		m.waits(20 * time.Minute)
		require.Equal(t, 1, m.revokedAtCA())
		require.Len(t, m.list("certs/revoked"), 1)
		require.Empty(t, m.read("cert/" + serialOf(issued)).Data["revocation_held_until"])
		require.Empty(t, m.read("orders/web/"+order).Warnings)
		m.requireNoIndex()
	})
}

// requireNoIndex checks that nothing is left of revocations that were held back.
func (m *mount) requireNoIndex() {
	m.t.Helper()
	for key := range m.storage.dump(m.t) {
		require.False(m.t, strings.HasPrefix(key, "held-back/"), key)
	}
}

func TestTheSameCSRTakesACertificateOver(t *testing.T) {
	atSize(t)
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		for name, alive := range map[string]time.Duration{"while its order is open": 0, "after its order was closed": time.Hour, "a week later": 7 * 24 * time.Hour} {
			ca := monthly(dialect)
			m := delayed(t, ca)
			request := signing(t, "www.example.com")
			first := m.write("sign/web", request)
			m.waits(alive)
			m.endLease(first)
			m.waits(time.Hour)
			second := m.write("sign/web", request)
			require.Equal(t, serialOf(first), serialOf(second), name)
			require.Equal(t, true, second.Data["reused"], name)
			require.Empty(t, m.list("certs/revocation-queue"), name)
			m.requireNoIndex()
			require.Equal(t, serialOf(first), serialOf(m.write("sign/web", request)), "%s: and so does the next one, as after any answer", name)
			m.waits(3 * time.Hour)
			require.Zero(t, m.revokedAtCA(), name)
			require.Len(t, ca.Orders(), 1, name)
			require.Len(t, m.list("orders/web"), 1, name)

			// Its own leases end like any others.
			m.endLease(second)
			m.waits(3 * time.Hour)
			require.Zero(t, m.revokedAtCA(), "%s: the third answer's lease runs", name)
			third := m.list("certs/revocation-queue")
			require.Len(t, third, 1)
			m.waits(40 * 24 * time.Hour)
			require.Empty(t, m.list("certs/revocation-queue"), name)
		}
	})
}

// Whoever places an order without waiting collects it later, as long as its certificate is held back.
func TestAnOrderThatIsOpenAgainCanBeCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		m.waits(time.Hour)
		m.endLease(first)
		m.waits(10 * time.Minute)
		id := m.write("orders/web", request).Data["order_id"].(string)
		require.Len(t, m.ca.Orders(), 1)
		require.NotEmpty(t, m.read("cert/" + serialOf(first)).Data["revocation_held_until"], "nobody was handed it")
		m.waits(time.Hour)
		second := m.write("orders/web/"+id+"/collect", nil)
		require.Equal(t, serialOf(first), serialOf(second))
		m.waits(3 * time.Hour)
		require.Zero(t, m.revokedAtCA())
		m.endLease(second)
		m.waits(3 * time.Hour)
		require.Equal(t, 1, m.revokedAtCA())

		// And when nobody collects it, it is over with the delay.
		m.endLease(m.write("sign/web", request))
		m.waits(10 * time.Minute)
		id = m.write("orders/web", request).Data["order_id"].(string)
		m.waits(3 * time.Hour)
		require.Equal(t, 2, m.revokedAtCA())
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "request another certificate")
		open := slices.DeleteFunc(slices.Collect(maps.Keys(m.storage.dump(t))), func(key string) bool { return !strings.HasPrefix(key, "order/open/") })
		require.Empty(t, open)
	})
}

func TestAPredecessorsLeaseEndsAgainAfterItWasTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		request := signing(t, "www.example.com")
		lease := m.write("sign/web", request)
		for range 3 {
			m.waits(time.Hour)
			m.endLease(lease)
			m.waits(time.Hour)
			lease = m.write("sign/web", request)
		}
		require.Len(t, m.ca.Orders(), 1)
		m.endLease(lease)
		m.endLease(lease) // Vault may tell it twice, which prolongs nothing
		m.waits(119 * time.Minute)
		m.endLease(lease)
		require.Zero(t, m.revokedAtCA())
		m.waits(11 * time.Minute)
		require.Equal(t, 1, m.revokedAtCA())
		again := m.write("sign/web", request)
		require.NotEqual(t, serialOf(lease), serialOf(again))
		m.requireNoIndex()
	})
}

func TestAGeneratedKeyIsTakenOverAsLongAsItIsKept(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := delayed(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": "0s", "delivery_grace": "30m"}})
		first := m.write("issue/web", www)
		m.endLease(first)
		m.waits(20 * time.Minute)
		second := m.write("issue/web", www)
		require.Equal(t, serialOf(first), serialOf(second))
		require.Equal(t, first.Data["private_key"], second.Data["private_key"])
		require.Equal(t, true, second.Data["reused"])
		require.Empty(t, m.list("certs/revocation-queue"))
		require.NotEqual(t, serialOf(first), serialOf(m.write("issue/web", www)), "reuse_window=0: its lease runs")

		m.waits(40 * time.Minute) // its key is erased
		requireNoKeys(t, m)
		m.endLease(second)
		third := m.write("issue/web", www)
		require.NotEqual(t, serialOf(first), serialOf(third))
		m.waits(3 * time.Hour)
		require.Equal(t, 1, m.revokedAtCA())
		require.Len(t, ca.Orders(), 3)
	})
}

func TestNobodyElseTakesACertificateOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		m.waits(time.Hour)
		m.endLease(first)
		with := func(more map[string]any) map[string]any {
			all := map[string]any{}
			for _, part := range []map[string]any{request, more} {
				for k, v := range part {
					all[k] = v
				}
			}
			return all
		}
		for name, c := range map[string]call{
			"another requester":    {data: request, accessor: "somebody else"},
			"force_new":            {data: with(map[string]any{"force_new": true})},
			"a request of a name":  {data: with(map[string]any{"request_id": "mine"})},
			"another key":          {data: signing(t, "www.example.com")},
			"other names":          {data: signing(t, "api.example.com")},
			"another role's right": {data: request, path: "sign/other"},
		} {
			if c.path == "" {
				c.path = "sign/web"
			} else {
				m.write("roles/other", map[string]any{
					"product_code": "842", "product_variant": "dv", "allow_any_name": true, "revocation_delay": "2h",
				})
			}
			c.op = logical.UpdateOperation
			require.NotEqual(t, serialOf(first), serialOf(m.must(c)), name)
		}
		m.waits(3 * time.Hour)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status)
		require.Equal(t, 1, m.revokedAtCA())
	})
}

func TestARequestForARevocationIsNotHeldBack(t *testing.T) {
	for name, c := range map[string]struct {
		path string
		with func(issued *logical.Response) map[string]any
	}{
		"revoke":          {path: "revoke"},
		"revoke of role":  {path: "revoke/web"},
		"revoke-with-key": {path: "revoke-with-key", with: func(r *logical.Response) map[string]any { return map[string]any{"private_key": r.Data["private_key"]} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := delayed(t, ca)
				issued := m.write("issue/web", www)
				m.endLease(issued)
				request := map[string]any{"serial_number": serialOf(issued)}
				if c.with != nil {
					request["private_key"] = c.with(issued)["private_key"]
				}
				// Refused for good, it leaves the delay as it was.
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 422, Times: 1})
				m.refused(c.path, request)
				require.NotEmpty(t, m.read("cert/" + serialOf(issued)).Data["revocation_held_until"])
				require.Equal(t, serialOf(issued), serialOf(m.write("issue/web", www)), "it is taken over")

				resp := m.write(c.path, request)
				require.Equal(t, "revoked", resp.Data["state"])
				require.Equal(t, 1, m.revokedAtCA())
				require.Empty(t, m.list("certs/revocation-queue"))
				require.NotEqual(t, serialOf(issued), serialOf(m.write("issue/web", www)))
				m.requireNoIndex()
			})
		})
	}
}

// Whatever write fails while a certificate is taken over, and whether or not the process lives on, nothing is bought twice, and what a client has is not revoked.
func TestATakeoverThatIsCutShort(t *testing.T) {
	for name, alive := range map[string]time.Duration{"its order is open": 0, "its order is closed": time.Hour} {
		for _, restarted := range []bool{false, true} {
			for cut := range 6 {
				t.Run(fmt.Sprintf("%s, write %d, restarted %v", name, cut, restarted), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := delayed(t, validated(certinexttest.Live))
						request := signing(t, "www.example.com")
						first := m.write("sign/web", request)
						m.waits(alive)
						m.endLease(first)
						m.waits(10 * time.Minute)
						m.storage.cutAfter(cut)
						resp, err := m.attempt("sign/web", request)
						m.storage.failing(nil)
						m.storage.cutAfter(-1)
						if restarted {
							m.start()
						}
						m.waits(3 * time.Hour)
						if err == nil && !resp.IsError() {
							require.Equal(t, serialOf(first), serialOf(resp))
							require.Zero(t, m.revokedAtCA(), "a client has it, with a lease")
							require.Len(t, m.ca.Orders(), 1)
							m.endLease(resp)
							m.waits(3 * time.Hour)
						}
						require.Equal(t, 1, m.revokedAtCA())
						require.Len(t, m.list("certs/revoked"), 1)
						require.Empty(t, m.list("certs/revocation-queue"))
						require.Len(t, m.ca.Orders(), 1)
						require.Len(t, m.list("orders/web"), 1)
						require.NotEqual(t, serialOf(first), serialOf(m.write("sign/web", request)))
					})
				})
			}
		}
	}
}

// cutAfter has storage take n more changes, deletions included, and none after that; all of them when n is negative.
func (s *countingStorage) cutAfter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = nil
	if n >= 0 {
		s.cut = func(string) error {
			if n--; n < 0 {
				return errors.New("storage is away")
			}
			return nil
		}
	}
}

// cutOff has storage refuse to change what is below a prefix; nothing when that is empty.
func (s *countingStorage) cutOff(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = nil
	if prefix != "" {
		s.cut = func(key string) error {
			if strings.HasPrefix(key, prefix) {
				return errors.New("storage refuses this one")
			}
			return nil
		}
	}
}

// What a takeover leaves behind in storage does no harm, and does not outlast it.
func TestATakeoverThatCannotTidyUp(t *testing.T) {
	for name, prefix := range map[string]string{
		"the record of the closed order": "order/closed/", "the queued revocation": "revocation/", "the index": "held-back/",
	} {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restarted %v", name, restarted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := delayed(t, validated(certinexttest.Live))
					request := signing(t, "www.example.com")
					first := m.write("sign/web", request)
					m.waits(time.Hour)
					m.endLease(first)
					m.waits(10 * time.Minute)
					m.storage.cutOff(prefix)
					second := m.write("sign/web", request)
					m.storage.cutOff("")
					if restarted {
						m.start()
					}
					third := m.write("sign/web", request)
					require.Equal(t, serialOf(first), serialOf(second))
					require.Equal(t, serialOf(first), serialOf(third))
					for _, lost := range []*logical.Response{second, third} { // their answers did not leave Vault
						m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: lost.Secret})
					}
					m.waits(30 * time.Minute)
					require.Zero(t, m.revokedAtCA(), "the delay is not over")
					fourth := m.write("sign/web", request)
					m.waits(4 * time.Hour)
					require.Zero(t, m.revokedAtCA(), "a client has it")
					require.Len(t, m.ca.Orders(), 1)
					require.Len(t, m.list("orders/web"), 1)
					m.endLease(fourth)
					m.waits(4 * time.Hour)
					require.Equal(t, 1, m.revokedAtCA())
					require.Empty(t, m.list("certs/revocation-queue"))
					m.requireNoIndex()
				})
			})
		}
	}
}

// The delay counts from the end of the lease, also of one that Vault never ends.
func TestARevocationIsHeldBackAfterALeaseThatVaultNeverEnds(t *testing.T) {
	for name, answers := range map[string]int{"one lease": 1, "another one has ended": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "6h", "max_ttl": "6h"}})
				request := signing(t, "www.example.com")
				var first *logical.Response
				for i := range answers {
					if resp := m.write("sign/web", request); i == 0 {
						first = resp
					}
				}
				if answers == 2 {
					m.endLease(first)
				}
				m.waits(7 * time.Hour)
				require.Zero(t, m.revokedAtCA(), "an hour after the end of the last lease")
				require.NotEmpty(t, m.read("cert/" + serialOf(first)).Data["revocation_held_until"])
				m.waits(70 * time.Minute)
				require.Equal(t, 1, m.revokedAtCA())
				m.requireNoIndex()
			})
		})
	}
}

func TestATakeoverWhoseAnswerIsLostIsUndone(t *testing.T) {
	for name, alive := range map[string]time.Duration{"its order is open": 0, "its order is closed": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(alive)
				m.endLease(first)
				m.waits(time.Hour)
				second := m.write("sign/web", request)
				require.Equal(t, serialOf(first), serialOf(second))
				m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: second.Secret}) // Vault could not store it
				m.waits(30 * time.Minute)
				require.Zero(t, m.revokedAtCA())
				third := m.write("sign/web", request)
				require.Equal(t, serialOf(first), serialOf(third))
				m.waits(3 * time.Hour)
				require.Zero(t, m.revokedAtCA())
				m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: leased(third)})
				m.waits(3 * time.Hour)
				require.Equal(t, 1, m.revokedAtCA())
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
	t.Run("and nobody asks again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := delayed(t, validated(certinexttest.Live))
			request := signing(t, "www.example.com")
			m.endLease(m.write("sign/web", request))
			m.waits(time.Hour)
			second := m.write("sign/web", request)
			m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: second.Secret})
			m.waits(4 * time.Hour)
			require.Equal(t, 1, m.revokedAtCA())
			m.requireNoIndex()
		})
	})
}

func TestManyThatAskAtOnceTakeOneCertificateOver(t *testing.T) {
	for name, alive := range map[string]time.Duration{"its order is open": 0, "its order is closed": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(alive)
				m.endLease(first)
				m.waits(time.Hour)
				m.storage.failing(func(string) error { time.Sleep(100 * time.Millisecond); return nil })
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { m.write("sign/web", request) })
				}
				wg.Wait()
				require.Len(t, m.ca.Orders(), 1)
				require.Empty(t, m.list("certs/revocation-queue"))
				m.waits(3 * time.Hour)
				require.Zero(t, m.revokedAtCA())
			})
		})
	}
}

func TestARolesRevocationDelayIsValidated(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	role := map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true}
	for _, wrong := range []string{"-1s", "169h"} {
		role["revocation_delay"] = wrong
		require.Contains(t, m.refused("roles/delayed", role), "revocation_delay")
	}
	role["revocation_delay"] = "90m"
	require.Contains(t, strings.Join(m.write("roles/delayed", role).Warnings, "\n"), "revocation_delay is on: for 1 hour and 30 minutes")
	require.Equal(t, int64(5400), m.read("roles/delayed").Data["revocation_delay"])
	role["generate_lease"] = false
	require.Contains(t, strings.Join(m.write("roles/delayed", role).Warnings, "\n"), "revocation_delay has no effect")
	delete(role, "revocation_delay")
	role["generate_lease"] = true
	m.write("roles/plain", role)
	require.Equal(t, int64(0), m.read("roles/plain").Data["revocation_delay"])
}
