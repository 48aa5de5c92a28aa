// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// renewing mounts the engine on a live CA with a role "web" that renews within the subscription.
func renewing(t *testing.T, more map[string]any) *mount {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.DomainValidity = 10 * 365 * day
	m := newMount(t, ca)
	role := map[string]any{
		"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": "reissue", "generate_lease": false,
	}
	for name, value := range more {
		role[name] = value
	}
	m.write("roles/web", role)
	return m
}

func (m *mount) issue(name string) map[string]any {
	m.t.Helper()
	return m.write("issue/web", map[string]any{"common_name": name}).Data
}

// isFor fails unless an answer's key and certificate belong together.
func (m *mount) isFor(answer map[string]any, name string) {
	m.t.Helper()
	require.Equal(m.t, []string{name}, m.chainOK(&logical.Response{Data: answer}).DNSNames)
}

func TestIssueRenewsWithinTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		first := m.issue("www.example.com")
		time.Sleep(130 * day)
		m.pass()
		second := m.issue("www.example.com")
		m.isFor(second, "www.example.com")
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		require.NotEqual(t, first["private_key"], second["private_key"])
		require.Len(t, m.ca.Orders(), 1, "a renewal within the subscription was bought")

		require.Equal(t, second["serial_number"], m.read("cert/" + first["serial_number"].(string)).Data["renewed_by"])
		again := m.read("cert/" + second["serial_number"].(string)).Data
		require.Equal(t, first["serial_number"], again["renewal_of"])
		require.Equal(t, first["serial_number"], again["reissue_of"])

		time.Sleep(time.Minute)
		require.Equal(t, second["serial_number"], m.issue("www.example.com")["serial_number"], "the same request within the reuse window")

		time.Sleep(time.Hour)
		m.pass()
		third := m.write("renew/web/"+first["serial_number"].(string), nil).Data
		require.Equal(t, second["serial_number"], m.read("cert/" + third["serial_number"].(string)).Data["reissue_of"], "the newest one is reissued")

		m.issue("other.example.com")
		require.Len(t, m.ca.Orders(), 2, "other names are another subscription")
	})
}

func TestASubscriptionIsUsedUpToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		begun := time.Now()
		var serials []any
		for time.Since(begun) < 3*365*day {
			answer := m.issue("www.example.com")
			serials = append(serials, answer["serial_number"])
			wait := time.Until(time.Unix(answer["renew_after"].(int64), 0))
			require.Positive(t, wait)
			time.Sleep(wait)
			m.pass()
		}
		t.Logf("%d certificates of %d orders in three years", len(serials), len(m.ca.Orders()))
		require.LessOrEqual(t, len(m.ca.Orders()), 4, "three years need three subscriptions, and one more for what is left of each")
		last := m.read("cert/" + serials[len(serials)-1].(string)).Data
		require.Equal(t, serials[len(serials)-2], last["renewal_of"], "a new order is linked to what it renews, too")
	})
}

func TestSignRenewsWithinTheSubscriptionForANewKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		key := newKey(t, elliptic.P256())
		request := csr(t, key, "www.example.com")
		m.write("sign/web", map[string]any{"csr": request})
		time.Sleep(time.Hour)
		m.pass()
		second := m.write("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		m.isFor(second, "www.example.com")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestAKeyThatIsUsedAgainIsBoughtAndSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		key := newKey(t, elliptic.P256())
		m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
		time.Sleep(time.Hour)
		m.pass()
		resp := m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
		m.isFor(resp.Data, "www.example.com")
		require.Contains(t, resp.Warnings[0], "a new order was placed instead of a reissue: csr has the key of the present certificate")
		require.Len(t, m.ca.Orders(), 2)
	})
}

func TestRenewByASerialNumberStaysWithinTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"renewal": "order"})
		first := m.issue("www.example.com")
		m.write("roles/web", map[string]any{
			"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": "reissue", "generate_lease": false,
		})
		serial := first["serial_number"].(string)
		second := m.write("renew/web/"+serial, nil).Data
		m.isFor(second, "www.example.com")
		require.Len(t, m.ca.Orders(), 1, "also for a certificate from before the role reissued")
		require.Equal(t, second["serial_number"], m.write("renew/web/"+serial, nil).Data["serial_number"], "a lost answer")
		time.Sleep(time.Hour)
		m.pass()
		require.Contains(t, m.refused("renew/web/"+serial, nil), "is over (issued)")
		third := m.issue("www.example.com")
		require.Equal(t, second["serial_number"], m.read("cert/" + third["serial_number"].(string)).Data["renewal_of"])
		require.Len(t, m.ca.Orders(), 1)
	})
}

// paying has the CA's product cost money, and its ledger show it.
func (m *mount) paying(shape certinexttest.LedgerShape, charges bool) {
	m.t.Helper()
	m.ca.Configure(func(s *certinexttest.Server) {
		s.Catalog = certinexttest.SandboxCatalog()
		s.Catalog[0].Years = map[string]string{"1 Year": "150.00"}
		s.Billing.Ledger, s.Billing.ChargeReissues = shape, charges
	})
}

func TestAChargedReissueEndsThePractice(t *testing.T) {
	for name, shape := range map[string]certinexttest.LedgerShape{"as in the sample": certinexttest.LedgerSample, "as in words": certinexttest.LedgerProse} {
		for label, wait := range map[string]time.Duration{"at once": time.Hour, "long after the order": 130 * day} {
			t.Run(name+", "+label, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := renewing(t, nil)
					m.paying(shape, true)
					m.issue("www.example.com")
					time.Sleep(wait)
					m.pass()
					resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
					require.Len(t, m.ca.Orders(), 1)
					require.Contains(t, resp.Warnings[0], "has charged 150.00")
					require.Contains(t, m.log.String(), "has charged for a reissue")
					require.Contains(t, fmt.Sprint(m.read("orders/web/" + resp.Data["order_id"].(string)).Data["timeline"]), "CERTInext has charged 150.00")
					practice := m.read("operator/renewal/web").Data
					require.Equal(t, true, practice["stopped"])
					require.Equal(t, resp.Data["order_id"], practice["order_id"])

					time.Sleep(130 * day)
					m.pass()
					third := m.issue("www.example.com")
					require.Len(t, m.ca.Orders(), 2, "the practice has ended")
					require.Equal(t, resp.Data["serial_number"], m.read("cert/" + third["serial_number"].(string)).Data["renewal_of"])

					require.Equal(t, false, m.write("operator/renewal/web", map[string]any{"allow": true}).Data["stopped"])
					time.Sleep(130 * day)
					m.pass()
					m.issue("www.example.com")
					require.Len(t, m.ca.Orders(), 2)
					require.Equal(t, true, m.read("operator/renewal/web").Data["stopped"])
					require.Contains(t, m.refused("operator/renewal/web", nil), "allow")
				})
			})
		}
	}
}

func TestAReissueThatCostsNothingIsNotTalkedAbout(t *testing.T) {
	for name, shape := range map[string]certinexttest.LedgerShape{"as in the sample": certinexttest.LedgerSample, "as in words": certinexttest.LedgerProse} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.paying(shape, false)
				m.issue("www.example.com")
				for range 3 {
					time.Sleep(100 * day)
					m.pass()
					require.Empty(t, m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Warnings)
				}
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// By a clock that was behind when the order was placed, or reissued by hand, the order's own charge is dated long after it.
func TestTheOrdersOwnChargeIsNoReissuesByAClockThatWasBehind(t *testing.T) {
	for _, behind := range []string{"the order", "a reissue"} {
		t.Run(behind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, map[string]any{"allow_reissue": true})
				m.paying(certinexttest.LedgerSample, false)
				setBack := func(when string) (right func()) {
					if when != behind {
						return func() {}
					}
					m.later(-60 * day)
					return func() { m.later(60 * day) }
				}
				right := setBack("the order")
				first := m.issue("www.example.com")
				right()
				time.Sleep(time.Hour)
				m.passes(1)
				if behind == "a reissue" {
					right = setBack(behind)
					m.write("orders/web/"+first["order_id"].(string)+"/reissue", nil)
					right()
					time.Sleep(time.Hour)
					m.passes(1)
				}
				require.Empty(t, m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Warnings)
				require.Len(t, m.ca.Orders(), 1)
				require.Equal(t, false, m.read("operator/renewal/web").Data["stopped"])
			})
		})
	}
}

func TestALedgerThatShowsNothingIsSaidTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerEmpty, true)
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		require.Contains(t, m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Warnings[0], "cannot be told whether CERTInext has charged")
		require.Equal(t, false, m.read("operator/renewal/web").Data["stopped"])
	})
}

// The statement shows a charge a day late: the next renewal is the first to find it, and is a new order.
func TestAChargeThatShowsLateEndsThePractice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.LedgerDelay = day })
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		require.Empty(t, m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Warnings)
		time.Sleep(100 * day)
		m.pass()
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 2)
		require.Equal(t, true, m.read("operator/renewal/web").Data["stopped"])
	})
}

func TestARefusedReissueIsFollowedByANewOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		first := m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRefusal, Code: "EMS-940", Times: 1})
		second := m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 2, "CERTInext does not reissue it, and the client needs one")
		require.Equal(t, first["serial_number"], m.read("cert/" + second["serial_number"].(string)).Data["renewal_of"])
		time.Sleep(100 * day)
		m.pass()
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 2, "the new subscription is reissued within")
	})
}

// The new order has the id that the refused reissue had, which follows from the request's name.
func TestARefusedReissueDoesNotKeepTheCertificateAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, map[string]any{"generate_lease": true})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRefusal, Code: "EMS-940", Times: 1})
		m.write("renew/web/"+first.Data["serial_number"].(string), nil)
		require.Len(t, m.ca.Orders(), 2)
		m.endLease(first)
		require.Equal(t, "revoked", m.ca.Orders()[0].Status, "its successor is another order's")
		require.Equal(t, "issued", m.ca.Orders()[1].Status)
	})
}

func TestWhatIsOutOfReachBuysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.issue("www.example.com")
		time.Sleep(100 * day)
		m.pass()
		for _, fault := range []certinexttest.Fault{
			{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError},
			{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultDropped},
			{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRateLimit, Times: 1},
		} {
			m.ca.Inject(fault)
			m.refused("issue/web", map[string]any{"common_name": "www.example.com"})
			m.ca.ClearFaults()
			require.Len(t, m.ca.Orders(), 1, fault)
			time.Sleep(10 * time.Minute)
		}
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 1)
		require.Len(t, m.ca.Orders()[0].Serials, 2)
	})
}

func TestALostAnswerToAReissueBuysNothing(t *testing.T) {
	for _, kind := range []certinexttest.FaultKind{certinexttest.FaultLostReply, certinexttest.FaultDropped, certinexttest.FaultServerErrorAfter} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := renewing(t, nil)
				m.issue("www.example.com")
				time.Sleep(100 * day)
				m.pass()
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: kind, Times: 1})
				resp, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				for tries := 0; (err != nil || resp.IsError()) && tries < 30; tries++ {
					time.Sleep(10 * time.Minute)
					m.pass()
					resp, err = m.attempt("issue/web", map[string]any{"common_name": "www.example.com"})
				}
				require.NoError(t, err)
				m.isFor(resp.Data, "www.example.com")
				require.Len(t, m.ca.Orders(), 1)
				require.Len(t, m.ca.Orders()[0].Serials, 2, "the reissue was sent twice")
			})
		})
	}
}

func TestTwoKeysForTheSameNamesShareTheSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 10 * time.Second })
		sign := func() *logical.Response {
			resp, err := m.attempt("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
			require.NoError(t, err)
			return resp
		}
		m.isFor(sign().Data, "www.example.com")
		time.Sleep(time.Hour)
		m.pass()
		answers := make(chan *logical.Response, 3)
		for range cap(answers) {
			go func() { answers <- sign() }()
		}
		for range cap(answers) {
			resp := <-answers
			require.False(t, resp.IsError(), resp)
			m.isFor(resp.Data, "www.example.com")
		}
		require.Len(t, m.ca.Orders(), 1, "each of them waits for the reissue before")
		require.Len(t, m.ca.Orders()[0].Serials, 4)
	})
}

func TestOthersHaveSubscriptionsOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		for _, entity := range []string{"alice", "bob", "alice", "bob"} {
			m.must(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: entity})
			time.Sleep(day)
			m.pass()
		}
		require.Len(t, m.ca.Orders(), 2)
		for _, o := range m.ca.Orders() {
			require.Len(t, o.Serials, 2)
		}
	})
}

func TestARevokedSubscriptionIsNotReissued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		first := m.issue("www.example.com")
		m.write("revoke", map[string]any{"serial_number": first["serial_number"]})
		m.isFor(m.issue("www.example.com"), "www.example.com")
		require.Len(t, m.ca.Orders(), 2)
	})
}

// A clock that is 60 days ahead takes the certificate for expired, and the subscription too, when it is a year ahead.
func TestAWrongClockBuysNoSubscription(t *testing.T) {
	for _, ahead := range []time.Duration{60 * day, 400 * day, -60 * day} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				m := newMount(t, ca)
				m.write("roles/web", map[string]any{
					"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": "reissue", "generate_lease": false,
				})
				m.issue("www.example.com")
				time.Sleep(time.Hour)
				m.pass()
				m.later(ahead)
				for range 3 {
					_, err := m.attempt("issue/web", map[string]any{"common_name": "www.example.com", "force_new": true})
					require.NoError(t, err)
					time.Sleep(time.Hour)
					m.pass()
				}
				m.later(-ahead)
				m.isFor(m.issue("www.example.com"), "www.example.com")
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

func TestVersion1RenewsByOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.V1))
		role := map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal": "reissue"}
		require.Contains(t, m.refused("roles/web", role), "renewal: cannot be reissue with version 1")
		role["renewal"] = "never"
		require.Contains(t, m.refused("roles/web", role), "renewal: must be order or reissue")
	})
}
