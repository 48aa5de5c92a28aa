// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// overtaken lets somebody else revoke first, for another reason, whatever the mount wants to revoke.
type overtaken struct{ next http.RoundTripper }

func (o overtaken) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/revoke") {
		return o.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	theirs := strings.NewReplacer("cessation-of-operation", "key-compromise", "cessationOfOperation", "keyCompromise").Replace(string(body))
	for i, text := range []string{theirs, string(body)} {
		again := r.Clone(r.Context())
		again.Header.Set("Idempotency-Key", fmt.Sprint(r.URL.Path, "-", i))
		again.Body, again.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		resp, err := o.next.RoundTrip(again)
		if err != nil || i == 1 {
			return resp, err
		}
	}
	return nil, nil
}

// Version 1's calls are signed, so that nobody can send one again with other words.
func TestARevocationThatSomebodyElseWasFasterWithIsOver(t *testing.T) {
	version2(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.startWith(&http.Client{Transport: overtaken{ca.Client().Transport}})
		leased, asked := m.write("issue/web", www), m.write("issue/web", map[string]any{"common_name": "asked.example.com"})
		m.endLease(leased)
		resp := m.write("revoke", map[string]any{"serial_number": asked.Data["serial_number"]})
		require.Equal(t, "revoked", resp.Data["state"])
		theirs := toldReason(dialect, "key-compromise")
		require.Equal(t, theirs, resp.Data["reason"])
		require.Empty(t, m.list("certs/revocation-queue"))
		for _, issued := range []*logical.Response{leased, asked} {
			cert := m.read("cert/" + issued.Data["serial_number"].(string)).Data
			require.Positive(t, cert["revocation_time"])
			require.Equal(t, theirs, cert["revocation_reason"])
			require.Equal(t, false, cert["revocation_queued"])
		}
	})
}

// toldReason is what CERTInext tells later of the reason that an order was revoked with: the documented API does not.
func toldReason(dialect certinexttest.Dialect, reason string) string {
	if dialect == certinexttest.Documented {
		return ""
	}
	return reason
}

func TestACertificateThatExpiresInTheQueueLeavesIt(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := monthly(dialect)
		m := newMount(t, ca)
		issued := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		m.endLease(issued)
		require.Len(t, m.list("certs/revocation-queue"), 1)
		time.Sleep(31 * 24 * time.Hour)
		ca.ResetCalls()
		m.pass()
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Zero(t, ca.Calls()[certinexttest.OpRevoke])
		cert := m.read("cert/" + issued.Data["serial_number"].(string)).Data
		require.Equal(t, int64(0), cert["revocation_time"])
		require.Equal(t, false, cert["revocation_queued"])
	})
}

// notKnown is what CERTInext answers of an order that it does not know.
func notKnown(dialect certinexttest.Dialect) string {
	if dialect == certinexttest.V1 {
		return "EMS-943"
	}
	return "404"
}

func TestARevocationThatTheCARefusesIsTriedEverLessOftenUntilTheCertificateHasExpired(t *testing.T) {
	atSize(t)
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, monthly(dialect))
		leased, asked := m.write("issue/web", www), m.write("issue/web", map[string]any{"common_name": "asked.example.com"})
		m.ca = monthly(dialect) // one that has lost its books
		m.start()
		require.Contains(t, m.refused("revoke", map[string]any{"serial_number": asked.Data["serial_number"]}), notKnown(dialect))
		require.Empty(t, m.list("certs/revocation-queue"), "somebody was told that it failed, and it is tried all the same")

		m.endLease(leased)
		require.Len(t, m.list("certs/revocation-queue"), 1)
		days := func(n int) {
			for range n * 24 * 2 {
				time.Sleep(30 * time.Minute)
				m.pass()
			}
		}
		days(29)
		queue := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data["key_info"].(map[string]any)
		tries := queue[leased.Data["serial_number"].(string)].(map[string]any)["attempts"]
		require.Greater(t, tries, 30, "in 29 days")
		require.Less(t, tries, 50, "in 29 days")
		days(2)
		require.Empty(t, m.list("certs/revocation-queue"))
		cert := m.read("cert/" + leased.Data["serial_number"].(string)).Data
		require.Equal(t, int64(0), cert["revocation_time"])
		require.Empty(t, m.list("certs/revoked"))
	})
}

func TestA404ThatCannotBeExplainedAtOnceIsExplainedLater(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Idempotency = certinexttest.Off // a repeated key would be answered with the reply that was lost
		m := newMount(t, ca)
		issued := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLostReply, Times: 1})
		m.endLease(issued)
		require.Empty(t, m.list("certs/revoked"), "nobody knows yet")
		// The next try is answered like one for an order that cannot be revoked, and tracking, which would tell, fails.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError, Times: 5})
		time.Sleep(10 * time.Minute)
		m.pass()
		require.Len(t, m.list("certs/revocation-queue"), 1)
		time.Sleep(10 * time.Minute)
		m.pass()
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Equal(t, toldReason(dialect, "cessation-of-operation"),
			m.read("cert/" + issued.Data["serial_number"].(string)).Data["revocation_reason"])
	})
}

func TestACertificateIsNeverRevokedInAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Documented)
		m := newMount(t, ca)
		issued := m.write("issue/web", www)

		other := validated(certinexttest.Documented)
		other.AccountNumber = "2222222222"
		m.ca = other
		m.start()
		m.write("config", map[string]any{"account_number": "2222222222", "access_key": certinexttest.DefaultAccessKey, "force": true})
		m.endLease(issued)
		for range 100 {
			m.everyMinute(1)
		}
		require.Zero(t, other.Calls()[certinexttest.OpRevoke], "the same number may be another order there")
		queue := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data["key_info"].(map[string]any)
		require.Contains(t, queue[issued.Data["serial_number"].(string)].(map[string]any)["last_error"], "another CERTInext account")

		m.ca = ca
		m.start()
		m.write("config", m.account())
		m.drain(40)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestReasonsAreSentInTheCAsSpellingOrRefusedByName(t *testing.T) {
	const (
		unspecified, keyCompromise, caCompromise, affiliationChanged  = "unspecified", "key-compromise", "ca-compromise", "affiliation-changed"
		superseded, cessation, hold, privilegeWithdrawn, aaCompromise = "superseded", "cessation-of-operation", "certificate-hold", "privilege-withdrawn", "aa-compromise"
	)
	five := []string{keyCompromise, affiliationChanged, superseded, cessation, privilegeWithdrawn}
	takes := map[string][]string{ // by dialect and role
		"live web":            five,
		"live intranet":       append([]string{unspecified, caCompromise, hold, aaCompromise}, five...),
		"documented web":      append([]string{unspecified, caCompromise}, five...),
		"documented intranet": append([]string{unspecified}, five...),
		"v1 web":              five,
		"v1 intranet":         five,
	}
	spellings := map[string][]string{ // RFC 5280's, its number, Vault's
		unspecified: {"unspecified", "0"}, keyCompromise: {"keyCompromise", "1", "key_compromise"},
		caCompromise: {"cACompromise", "2", "ca_compromise"}, affiliationChanged: {"affiliationChanged", "3", "AFFILIATION-CHANGED"},
		superseded: {"superseded", "4", " Superseded "}, cessation: {"cessationOfOperation", "5", ""},
		hold: {"certificateHold", "6"}, privilegeWithdrawn: {"privilegeWithdrawn", "9"}, aaCompromise: {"aACompromise", "10"},
	}
	names := map[string]string{"web": "www.example.com", "intranet": "db.corp.internal"}
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.write("roles/intranet", map[string]any{
			"product_code": "149", "product_variant": "intranet-ssl", "allowed_domains": "corp.internal",
			"allow_subdomains": true,
		})
		m.chooseProfile("intranet")
		for role, name := range names {
			for reason, spelt := range spellings {
				for _, given := range spelt {
					issued := m.write("issue/"+role, map[string]any{"common_name": name})
					request := map[string]any{"serial_number": issued.Data["serial_number"], "reason": given}
					if !slices.Contains(takes[dialect.String()+" "+role], reason) {
						text := m.refused("revoke/"+role, request)
						require.Contains(t, text, "reason: ", "the field is not named")
						require.Contains(t, text, reason)
						require.Contains(t, text, superseded, "what is taken is not named")
						continue
					}
					require.Equal(t, reason, m.write("revoke/"+role, request).Data["reason"], given)
					require.Equal(t, reason, m.read("cert/" + issued.Data["serial_number"].(string)).Data["revocation_reason"])
					order, ok := ca.Order(m.read("cert/" + issued.Data["serial_number"].(string)).Data["ca_order_id"].(string))
					require.True(t, ok)
					require.Equal(t, foldReason(reason), foldReason(order.RevokeReason))
				}
			}
		}
		issued := m.write("issue/web", www)
		for _, none := range []string{"removeFromCRL", "8", "7", "-1", "because"} {
			require.Contains(t, m.refused("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": none}), "reason: ")
		}
		require.Empty(t, m.list("certs/revocation-queue"))
	})
}

// foldReason takes away what the dialects spell differently.
func foldReason(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "")) }

func TestNotesThatTheCAWouldRefuseAreMended(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		for note, want := range map[string]string{
			"moved; see ticket; closed":    "moved, see ticket, closed",
			";":                            ",",
			"two\nlines\tand\x00 a bell\a": "two lines and a bell",
			"\x1b[31mred\u202e":            "[31mred",
			strings.Repeat("é", 5000):      strings.Repeat("é", 199) + "…",
			"\xff\xfe":                     "Revoked through the CERTInext API",
			"":                             "Revoked through the CERTInext API",
		} {
			issued := m.write("issue/web", www)
			resp := m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "note": note})
			require.Equal(t, "revoked", resp.Data["state"], "%q", note)
			order, ok := ca.Order(m.read("cert/" + issued.Data["serial_number"].(string)).Data["ca_order_id"].(string))
			require.True(t, ok)
			require.Equal(t, want, order.RevokeNote)
		}
	})
}
