// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// vettedRole writes a role for a product that certifies an organization.
func (m *mount) vettedRole(name, variant string, changes map[string]any) {
	m.t.Helper()
	fields := map[string]any{
		"product_code": map[string]string{"ov": "846", "ev": "850"}[variant], "product_variant": variant, "allowed_domains": "example.com",
		"allow_subdomains": true, "organization_number": certinexttest.DefaultOrganization,
	}
	for k, v := range changes {
		fields[k] = v
	}
	m.write("roles/"+name, fields)
}

// needs is what the only order of a role says of what it waits for.
func (m *mount) needs(role string) (waitsFor, needs string) {
	m.t.Helper()
	ids := m.list("orders/" + role)
	require.Len(m.t, ids, 1)
	order := m.read("orders/" + role + "/" + ids[0]).Data
	return order["waits_for"].(string), strings.Join(order["needs"].([]string), "; ")
}

func TestOVAndEVWithAConsentTokenAreIssuedAndWithoutWaitForApproval(t *testing.T) {
	for _, variant := range []string{"ov", "ev"} {
		t.Run(variant, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				m := newMount(t, ca)
				m.vettedRole("vetted", variant, nil)
				text := m.refused("issue/vetted", www)
				require.Contains(t, text, "pending-approval")
				require.Contains(t, text, "an approver of the CERTInext account")
				who, _ := m.needs("vetted")
				require.Equal(t, "approver", who)

				m.vettedRole("with-token", variant, map[string]any{"consent_token": certinexttest.DefaultConsentToken})
				m.chainOK(m.write("issue/with-token", www))

				require.NoError(t, ca.Approve(ca.Orders()[0].ID))
				m.chainOK(m.write("issue/vetted", www))
				require.Len(t, ca.Orders(), 2)
			})
		})
	}
}

func TestAnOrganizationThatHasNotConsentedIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.vettedRole("ov", "ov", nil)
		m.refused("issue/ov", www)
		_, needs := m.needs("ov")
		require.Contains(t, needs, "Example Corporation has not consented yet")
		require.Contains(t, needs, "platform@example.com")
		require.Contains(t, needs, "consent_token")
	})
}

// Vetting and approval take days. Nobody waits, nothing is asked too often, and nothing is lost on the way.
func TestAnEVOrderIsVettedForDaysThenApprovedAndCollected(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.vettedRole("ev", "ev", map[string]any{"organization_number": certinexttest.UnvettedOrganization, "pickup_window": "72h"})
		placed := m.write("orders/ev", www).Data
		require.Equal(t, "domain-owner", placed["waits_for"], "a domain is validated for one organization, not for all")
		ca.VerifyDomain("www.example.com")
		placed = m.write("orders/ev", www).Data
		vetting := "pending-organization-verification"
		if dialect == certinexttest.V1 {
			vetting = "pending-approval" // which is how version 1 calls an organization's authorization, too
		} else {
			require.Equal(t, "organization", placed["waits_for"])
			require.Contains(t, strings.Join(placed["needs"].([]string), " "), "CERTInext verifies the organization")
		}
		require.Equal(t, vetting, placed["ca_status"])
		id := placed["order_id"].(string)
		days := func(n int) {
			for range n * 24 * 60 {
				time.Sleep(time.Minute)
				m.pass()
			}
		}
		ca.ResetCalls()
		days(3)
		require.NoError(t, ca.Vet(certinexttest.UnvettedOrganization))
		days(2)
		require.Equal(t, "approver", m.read("orders/ev/" + id).Data["waits_for"])
		require.Less(t, ca.Calls()[certinexttest.OpTrack], 5*60, "in five days")
		m.start()
		days(1)
		require.NoError(t, ca.Approve(ca.Orders()[0].ID))
		days(1)

		order := m.read("orders/ev/" + id).Data
		require.Equal(t, "issued", order["state"])
		require.Equal(t, "requester", order["waits_for"], "the certificate waits to be collected")
		timeline := ""
		for _, line := range order["timeline"].([]map[string]any) {
			timeline += line["at"].(string) + " " + line["what"].(string) + "\n"
		}
		for _, stage := range []string{"requested", "CERTInext took the order", vetting, "pending-approval", "issued as"} {
			require.Contains(t, timeline, stage)
		}
		collected := m.write("orders/ev/"+id+"/collect", nil)
		m.chainOK(collected)
		require.NotNil(t, collected.Data["private_key"])
		require.Empty(t, m.read("orders/ev/" + id).Data["waits_for"])
		require.Len(t, ca.Orders(), 1)
	})
}

func TestARejectedOrderShowsTheApproversRemarkAndLosesItsKey(t *testing.T) {
	for name, background := range map[string]bool{"to the request that waits": false, "to whoever reads the order": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				m.refused("issue/web", www)
				id := m.list("orders/web")[0]
				require.NoError(t, ca.Reject(ca.Orders()[0].ID, "not this name, ask\x1b[31m again"))
				if background {
					m.passes(2)
				} else {
					require.Contains(t, m.refused("issue/web", www), "until a second look", "one answer may be a middleman's")
					require.Len(t, m.list("orders/web"), 1)
					time.Sleep(30 * time.Second)
					require.Contains(t, m.refused("issue/web", www), "is rejected: not this name, ask")
				}
				order := m.read("orders/web/" + id).Data
				require.Equal(t, "rejected", order["state"])
				require.Contains(t, order["last_error"], "not this name, ask")
				require.NotContains(t, order["last_error"], "\x1b", "the CA's words are cleaned")
				require.Empty(t, order["waits_for"])
				requireNoKeys(t, m)
				m.refused("issue/web", www)
				require.Len(t, ca.Orders(), 2, "the rejected order is over: the next request is a new one")
			})
		})
	}
}

func TestAnOrganizationIsNeededAndVettedOnesAreNotInvented(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.vettedRole("none", "ov", map[string]any{"organization_number": ""})
		require.Contains(t, m.refused("issue/none", www), "organization_number:")
		require.Empty(t, ca.Calls()[certinexttest.OpCreateSSL], "the CA was asked")
		m.vettedRole("unknown", "ov", map[string]any{"organization_number": "4999999"})
		m.refused("issue/unknown", www)
		m.vettedRole("wrong-token", "ov", map[string]any{"consent_token": "00000000000000000000000000000000"})
		require.NotContains(t, m.refused("issue/wrong-token", www), "00000000000000000000000000000000")
		require.Empty(t, ca.Orders())
	})
}

func TestAnOrderShowsWhatToPublishWithoutBeingAsked(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := &certinexttest.Server{Dialect: dialect}
		m := newMount(t, ca)
		text := m.refused("issue/web", www)
		who, needs := m.needs("web")
		require.Equal(t, "domain-owner", who)
		id := m.list("orders/web")[0]
		shown := m.read("orders/web/" + id + "/dcv").Data["domains"].([]map[string]any)[0]
		for _, words := range []string{text, needs} {
			require.Contains(t, words, shown["dns_value"])
			require.Contains(t, words, shown["dns_names"].([]string)[0])
			require.Contains(t, words, "orders/web/"+id+"/dcv")
		}
		ca.VerifyDomain("www.example.com")
		time.Sleep(time.Hour)
		m.pass()
		_, needs = m.needs("web")
		require.Empty(t, needs)
	})
}

func TestTheRolesMethodDecidesWhatIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{Dialect: certinexttest.Documented}
		m := newMount(t, ca)
		for method, want := range map[string]string{"dns-txt": "publish the TXT record", "http-url": "serve http://www.example.com/.well-known/pki-validation/", "email": "answer the mail to"} {
			m.write("roles/"+method, map[string]any{
				"product_code": "842", "product_variant": "dv", "allow_any_name": true, "dcv_method": method,
			})
			require.Contains(t, m.refused("issue/"+method, www), want)
		}
	})
}

// Each domain costs a call, which may take seconds: a message asks about a few, and remembers the answers.
func TestWhatToPublishIsAskedForAFewDomainsAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{}
		m := newMount(t, ca)
		m.write("roles/ucc", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allow_any_name": true})
		request := map[string]any{"common_name": "a.example.com", "alt_names": "b.example.com,c.example.com,d.example.com,e.example.com,f.example.com,g.example.com"}
		text := m.refused("issue/ucc", request)
		require.Equal(t, 5, strings.Count(text, "publish the TXT record"))
		require.Contains(t, text, "control of f.example.com, g.example.com has to be validated: vault read certinext/orders/ucc/")
		for range 12 {
			time.Sleep(time.Hour)
			m.pass()
			m.refused("issue/ucc", request)
		}
		require.Equal(t, 5, ca.Calls()[certinexttest.OpDCV], "in twelve hours")
		time.Sleep(36 * time.Hour)
		m.refused("issue/ucc", request)
		require.Equal(t, 10, ca.Calls()[certinexttest.OpDCV], "a token lives for two days")
		require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
	})
}

func TestAChallengeThatCannotBeHadKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{}
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpDCV, Kind: certinexttest.FaultServerError, Times: 20})
		m := newMount(t, ca)
		text := m.refused("issue/web", www)
		require.Contains(t, text, "/dcv shows what to publish")
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
		require.NoError(t, err)
		require.True(t, resp.IsError())
	})
}
