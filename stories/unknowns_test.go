// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/unknowns"
)

// Whatever the answer to a question that no source answers, the engine issues, signs, collects,
// revokes, and buys nothing twice. The questions are those of docs/sandbox.md, which has each
// setting whose source is not known: a new one is played without being named here.
func TestWhateverTheUnknownAnswerIsNothingIsBoughtTwice(t *testing.T) {
	answers := unknownAnswers(t)
	require.GreaterOrEqual(t, len(answers), 40)
	dialects := []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1}
	for _, dialect := range dialects {
		for _, answer := range answers {
			t.Run(dialect.String()+" "+answer, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(dialect)
					require.NoError(t, ca.LoadSettings([]byte(answer)))
					if ca.NoInheritance { // each name then needs a validation of its own
						ca.VerifiedDomains = namesOfTheStory
					}
					if ca.HoldForApproval {
						ca.ApprovalDelay = 5 * time.Second
					}
					m := newMount(t, ca)
					m.configureFor(answer)
					playMainStory(t, m)
					if dialect == certinexttest.Live {
						playReissue(t, m)
					}
				})
			})
		}
	}
}

// unknownAnswers are settings objects of one member each: every answer that the table lists. The
// simulator's tests hold the table against its settings.
func unknownAnswers(t *testing.T) (objects []string) {
	t.Helper()
	page, err := os.ReadFile("../docs/sandbox.md")
	require.NoError(t, err)
	rows, err := unknowns.Table(string(page))
	require.NoError(t, err)
	properties := certinexttest.SettingsSchema()["properties"].(map[string]any)
	for _, row := range rows {
		for _, answer := range row.Answers {
			kind := properties[row.Switch].(map[string]any)["type"]
			object, err := unknowns.Object(row.Switch, kind, answer)
			require.NoError(t, err)
			objects = append(objects, object)
		}
	}
	return objects
}

var namesOfTheStory = []string{
	"issued.example.com", "signed.example.com", "collected.example.com", "www.example.com",
}

// configureFor tells the mount what its operator has to know of an answer.
func (m *mount) configureFor(answer string) {
	m.t.Helper()
	switch answer {
	case `{"rateLimit":2}`:
		m.write("config", map[string]any{"requests_per_second": 2})
	case `{"idempotency":"off"}`:
		m.write("config", map[string]any{"trust_idempotency_key": false})
	}
}

// delivered looks at a certificate with its chain, if the CA delivers chains.
func (m *mount) delivered(resp *logical.Response) *logical.Response {
	m.t.Helper()
	if m.ca.ChainOrder != certinexttest.ChainAbsent {
		m.chainOK(resp)
		return resp
	}
	require.Empty(m.t, resp.Data["ca_chain"])
	parseCertificate(m.t, resp.Data["certificate"].(string))
	return resp
}

// playMainStory issues, signs, collects, revokes, ends a lease, and loses the reply to a create
// call.
func playMainStory(t *testing.T, m *mount) {
	t.Helper()
	issued := m.delivered(m.write("issue/web", map[string]any{"common_name": "issued.example.com"}))
	signed := m.delivered(m.write("sign/web", map[string]any{
		"csr": csr(t, newKey(t, elliptic.P256()), "signed.example.com"),
	}))
	placed := m.write("orders/web", map[string]any{"common_name": "collected.example.com"})
	time.Sleep(time.Minute)
	m.delivered(m.write("orders/web/"+placed.Data["order_id"].(string)+"/collect", nil))
	m.endLease(issued)
	m.write("revoke", map[string]any{"serial_number": signed.Data["serial_number"]})

	id := m.unresolved(certinexttest.FaultLostReply)
	time.Sleep(2 * time.Hour)
	m.pass()
	m.pass()
	require.NotEqual(t, "unresolved", m.read("orders/web/" + id).Data["state"])
	m.delivered(m.write("issue/web", www))
	m.pass()
	revoked := make(map[string]bool)
	for _, o := range m.ca.Orders() {
		require.NotContains(t, revoked, o.Domain, "bought twice")
		revoked[o.Domain] = !o.RevokedAt.IsZero()
	}
	require.Equal(t, map[string]bool{
		"issued.example.com": true, "signed.example.com": true,
		"collected.example.com": false, "www.example.com": false,
	}, revoked, "what was ordered, and whether it is revoked")
}

// playReissue reissues an order, and revokes what it then has. Which of its certificates go with
// that is for the CA to know, and does not keep the engine from its own books.
func playReissue(t *testing.T, m *mount) {
	t.Helper()
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
	first := m.write("issue/web", map[string]any{"common_name": "collected.example.com"})
	order := m.reissue(first, nil).Data["order_id"].(string)
	second := m.delivered(m.write("orders/web/"+order+"/collect", nil))
	m.write("revoke", map[string]any{"serial_number": second.Data["serial_number"]})
	m.pass()
	require.Contains(t, m.list("certs/revoked"), second.Data["serial_number"].(string))
	orders := m.ca.Orders()
	require.Len(t, orders, 5, "a reissue orders nothing")
	require.False(t, orders[4].RevokedAt.IsZero())
}
