// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// replacesRevoked mounts the engine on a CA, with a role "web" that replaces what is revoked, an entity "ann", and a synchronization each hour.
func replacesRevoked(t *testing.T, more map[string]any) *mount {
	t.Helper()
	role := map[string]any{"renew_ahead": "", "replace_revoked": true}
	for name, value := range more {
		role[name] = value
	}
	m := aheadOf(t, role)
	m.system.MaxLeaseTTLVal = 400 * day
	m.config(map[string]any{"sync_interval": "1h"})
	m.hours(2)
	return m
}

// hours lets time pass, with a pass every ten minutes, as far as synchronizations go.
func (m *mount) hours(n int) {
	m.t.Helper()
	for range n * 6 {
		time.Sleep(10 * time.Minute)
		m.tryPass()
		synctest.Wait()
	}
}

// keyHash is how the CA's list of compromised keys names the key of an answer's certificate.
func keyHash(t *testing.T, answer map[string]any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(parseCertificate(t, answer["certificate"].(string)).PublicKey)
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// revokesByItself has the CA learn that the keys of certificates are out: it revokes them within a day, and tells nobody.
func (m *mount) revokesByItself(answers ...map[string]any) {
	m.t.Helper()
	m.ca.Configure(func(s *certinexttest.Server) {
		for _, answer := range answers {
			s.Keys.Blocked = append(s.Keys.Blocked, keyHash(m.t, answer))
		}
	})
	time.Sleep(24*time.Hour + time.Second)
}

// portal revokes a certificate's order in CERTInext's portal.
func (m *mount) portal(answer map[string]any, reason certinext.Reason) {
	m.t.Helper()
	client := &certinext.Client{
		BaseURL: sandboxURL, HTTPClient: m.ca.Client(),
		Credentials: certinext.OAuth{ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret},
	}
	order := m.read("cert/" + answer["serial_number"].(string)).Data["ca_order_id"].(string)
	_, err := client.RevokeOrder(m.t.Context(), certinext.FamilySSL, order, certinext.RevokeRequest{Reason: reason})
	require.NoError(m.t, err)
}

// hasBought checks how many orders there are.
func (m *mount) hasBought(n int, why ...any) {
	m.t.Helper()
	require.Len(m.t, m.ca.Orders(), n, why...)
}

// outside are the notices of what was revoked outside of the mount.
func (m *mount) outside() (told []map[string]string) {
	m.t.Helper()
	for _, notice := range m.notices() {
		if notice["change"] == "revoked-outside" {
			told = append(told, notice)
		}
	}
	return told
}

func TestWhatCERTInextRevokesByItselfIsReplacedBeforeAnybodyAsks(t *testing.T) {
	for name, role := range map[string]map[string]any{
		"by new orders":      nil,
		"which reissues":     {"renewal": "reissue"},
		"which reuses":       {"reuse": true},
		"with leases":        {"generate_lease": true},
		"which renews early": {"renew_ahead": "10%"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := replacesRevoked(t, role)
				first, other := m.annIssues(), m.asksFor("ann", "other.example.com")
				m.hours(2)
				m.revokesByItself(first)
				m.hours(2)
				m.hasBought(3, "one for it, and nothing for the other one")
				require.Zero(t, m.ca.Calls()[certinexttest.OpReissue], "its order is revoked with it")
				before := m.orderCalls()
				second := m.annIssues()
				require.Equal(t, before, m.orderCalls(), "the request has waited for the CA")
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				require.NotEqual(t, first["private_key"], second["private_key"])
				m.isFor(second, "www.example.com")
				read := m.certificate(first)
				require.Equal(t, second["serial_number"], read["renewed_by"])
				require.Equal(t, "key-compromise", read["revocation_reason"])
				require.Equal(t, first["serial_number"], m.certificate(second)["renewal_of"])
				require.Zero(t, m.certificate(other)["revocation_time"])

				told := m.outside()
				require.Len(t, told, 1)
				require.Equal(t, []string{"key-compromise", "wanted"}, []string{told[0]["reason"], told[0]["successor"]})
				m.hours(30)
				m.hasBought(3, "it is replaced once")
				require.Zero(t, m.certificate(second)["revocation_time"])
			})
		})
	}
}

func TestNothingIsReplacedWhoseRoleDoesNotSaySo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacesRevoked(t, map[string]any{"replace_revoked": false})
		first := m.annIssues()
		m.hours(1)
		m.revokesByItself(first)
		m.hours(30)
		m.hasBought(1)
		require.Equal(t, []string{""}, []string{m.outside()[0]["successor"]})
		m.patchRole(map[string]any{"replace_revoked": true})
		m.hours(30)
		m.hasBought(1, "only what is revoked from then on")
		require.NotEqual(t, first["serial_number"], m.annIssues()["serial_number"])
	})
}

// Whoever wants a certificate revoked gets no other one for it, and what only CAs say, or nobody, is replaced.
func TestWhatAPersonHasRevokedIsNotReplaced(t *testing.T) {
	inPortal := func(reason certinext.Reason) func(*mount, *logical.Response) {
		return func(m *mount, first *logical.Response) { m.portal(first.Data, reason) }
	}
	here := func(reason string) func(*mount, *logical.Response) {
		return func(m *mount, first *logical.Response) {
			m.write("revoke", map[string]any{"serial_number": first.Data["serial_number"], "reason": reason})
		}
	}
	for name, c := range map[string]struct {
		revoke   func(m *mount, first *logical.Response)
		replaced bool
	}{
		"in the portal, since nobody needs it": {inPortal(certinext.ReasonCessationOfOperation), false},
		"in the portal, since she has left":    {inPortal(certinext.ReasonAffiliationChanged), false},
		"in bulk":                              {inPortal(certinext.ReasonSuperseded), true},
		"since its key is out":                 {inPortal(certinext.ReasonKeyCompromise), true},
		"by the CA for what she did":           {inPortal(certinext.ReasonPrivilegeWithdrawn), true},
		"here":                                 {here("superseded"), false},
		"here, since its key is out":           {here("key-compromise"), false},
		"here, of which the answer was lost": {func(m *mount, first *logical.Response) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLostReply, Times: 1})
			here("key-compromise")(m, first)
		}, false},
		"here and there at the same time": {func(m *mount, first *logical.Response) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Times: 1})
			here("superseded")(m, first)
			m.portal(first.Data, certinext.ReasonKeyCompromise)
		}, false},
		"by the end of its lease": {func(m *mount, first *logical.Response) { m.endLease(first) }, false},
		"after the end of its lease": {func(m *mount, first *logical.Response) {
			m.endLease(first)
			m.portal(first.Data, certinext.ReasonKeyCompromise)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := replacesRevoked(t, map[string]any{"generate_lease": true, "revocation_delay": "48h"})
				first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
				m.hours(1)
				c.revoke(m, first)
				m.hours(72)
				require.NotZero(t, m.certificate(first.Data)["revocation_time"])
				m.hasBought(map[bool]int{false: 1, true: 2}[c.replaced])
			})
		})
	}
}

// Only the requester has the key: it is told at its next request, which buys at once.
func TestARevokedCertificateOfSignIsReplacedByItsRequester(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacesRevoked(t, nil)
		first := m.asks("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		m.hours(1)
		m.revokesByItself(first)
		m.hours(3)
		m.hasBought(1, "nobody has a key for it")
		require.LessOrEqual(t, m.certificate(first)["renew_after"], time.Now().Unix())
		second := m.asks("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		require.Equal(t, second["serial_number"], m.certificate(first)["renewed_by"])
		m.hours(30)
		m.hasBought(2)
	})
}

func TestABudgetAndAnApprovalHoldForWhatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacesRevoked(t, nil)
		first := m.annIssues()
		m.write("budgets/year", map[string]any{"period": "year", "max_orders": 1, "roles": "web"})
		m.asksFor("ann", "other.example.com")
		m.hours(1)
		m.revokesByItself(first)
		m.hours(3)
		m.hasBought(2, "a budget does not cover it")
		require.Contains(t, m.certificate(first)["renew_ahead_refused"], "budget")
		m.write("budgets/year", map[string]any{"period": "year", "max_orders": 5, "roles": "web"})
		m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "240h"})
		m.hours(8)
		m.hasBought(2)
		ids := m.list("approvals/web")
		require.Len(t, ids, 1, "an approver is asked, once")
		m.must(call{op: logical.UpdateOperation, path: "approvals/web/" + ids[0], data: map[string]any{"decision": "approve"}, entity: "bob"})
		m.hours(2)
		m.hasBought(3)
		require.Equal(t, m.annIssues()["serial_number"], m.certificate(first)["renewed_by"])
	})
}

// Nobody could tell whether a token without an entity is still there.
func TestNothingIsReplacedForWhomNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacesRevoked(t, nil)
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, strings.Join(first.Warnings, "\n"), "without an identity entity")
		m.hours(1)
		m.revokesByItself(first.Data)
		m.hours(3)
		m.hasBought(1)
		again := m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Data
		require.NotEqual(t, first.Data["serial_number"], again["serial_number"])
	})
}

// She comes before the successor is issued, and waits for that one, or she comes before anybody knows, and buys it herself.
func TestTheRequesterComesBeforeTheSuccessorOfARevokedCertificateIsThere(t *testing.T) {
	for name, synced := range map[string]bool{"before it is noticed": false, "while it is made": true} {
		for slow, delay := range map[string]time.Duration{"at once": 0, "after hours": 3 * time.Hour} {
			t.Run(name+", "+slow, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := replacesRevoked(t, nil)
					first := m.annIssues()
					m.hours(1)
					m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = delay })
					m.revokesByItself(first)
					if synced {
						m.hours(2)
					}
					resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
					require.NoError(t, err)
					require.Equal(t, delay > 0, resp.IsError(), "%v", resp.Error())
					m.hours(8)
					m.hasBought(2)
					second := resp.Data
					if delay > 0 {
						second = m.annIssues()
					}
					require.NotEqual(t, first["serial_number"], second["serial_number"])
					require.Equal(t, synced, second["serial_number"] == m.certificate(first)["renewed_by"])
					m.hours(30)
					require.NotZero(t, m.certificate(first)["revocation_time"])
					m.hasBought(2)
				})
			})
		}
	}
}

// Who reuses is told by CERTInext at its next request, and buys then, whatever a synchronization finds later.
func TestWhoReusesARevokedCertificateBuysOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacesRevoked(t, map[string]any{"reuse": true})
		first := m.annIssues()
		m.hours(1)
		m.revokesByItself(first)
		for range 5 {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
			time.Sleep(time.Minute)
		}
		m.hours(30)
		m.hasBought(2)
		require.Len(t, m.outside(), 1, "it is told, whoever finds it")
	})
}

// What CERTInext revokes again within days is not bought for ever.
func TestASuccessorThatIsRevokedSoonIsNotReplacedByItself(t *testing.T) {
	for name, c := range map[string]struct {
		days   int
		orders int
	}{"within a week": {4, 2}, "later": {7, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := replacesRevoked(t, nil)
				first := m.annIssues()
				m.hours(1)
				m.revokesByItself(first)
				m.hours(3)
				second := m.annIssues()
				m.hours(24 * (c.days - 1))
				m.revokesByItself(second)
				m.hours(3)
				require.NotZero(t, m.certificate(second)["revocation_time"])
				m.hasBought(c.orders)
				if c.orders == 2 {
					require.Contains(t, m.log.String(), "less than a week")
				}
				third := m.annIssues()
				require.NotEqual(t, second["serial_number"], third["serial_number"], "who asks gets one")
				m.hasBought(3)
			})
		})
	}
}

// Whatever write fails, and whether or not the process dies with it, one is bought.
func TestWhatIsRevokedIsReplacedOnceHoweverEachWriteFails(t *testing.T) {
	atSize(t)
	for name, reason := range map[string]certinext.Reason{"told": certinext.ReasonKeyCompromise, "bulk": certinext.ReasonSuperseded} {
		t.Run(name, func(t *testing.T) {
			eachWrite(t, func(_ *testing.T, m *mount) func() {
				m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
				m.patchRole(map[string]any{"replace_revoked": true, "generate_lease": false})
				first := m.annIssues()
				m.synchronize()
				m.config(map[string]any{"sync_interval": "1h"})
				m.passes(2)
				m.portal(first, reason)
				time.Sleep(2 * time.Hour)
				return func() {
					for range 3 {
						m.tryPass()
						synctest.Wait()
						time.Sleep(time.Minute)
					}
				}
			}, func(t *testing.T, m *mount) {
				m.hours(3)
				m.asksFor("ann", "other.example.com") // a later order proves that one was never taken (ADR 0009)
				m.hours(20)
				require.Len(t, m.list("certs/revoked"), 1)
				m.hasBought(3, "it was not replaced, or twice")
				second := m.annIssues()
				m.hasBought(3)
				require.Equal(t, second["serial_number"], m.read("cert/" + m.list("certs/revoked")[0]).Data["renewed_by"])
			})
		})
	}
}

func TestARoleSaysWhatReplacingRevokedCertificatesMeans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		said := strings.Join(m.write("roles/web", dvRole(map[string]any{"replace_revoked": true})).Warnings, "\n")
		require.Contains(t, said, "before anybody asks for it")
		require.Contains(t, said, "sync_interval of the config is 0")
		require.Equal(t, true, m.read("roles/web").Data["replace_revoked"])
		m.config(map[string]any{"sync_interval": "1h"})
		said = strings.Join(m.write("roles/web", dvRole(map[string]any{"replace_revoked": true})).Warnings, "\n")
		require.NotContains(t, said, "sync_interval")
		reason := m.refused("roles/signer", map[string]any{"product_code": "827", "replace_revoked": true, "allowed_subject_fields": "*"})
		require.Contains(t, reason, "replace_revoked: is for certificates of host names")
	})
}
