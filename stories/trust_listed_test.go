// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// Two CAs have issued, one after the other. What is above a certificate finds it, and what clients make of it is told at once.
func TestCertificatesAreListedByWhatIsAboveThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		m.write("issue/web", map[string]any{"common_name": "b.example.com"})
		before := m.authorityNow(false)
		require.NoError(t, m.ca.ReplaceIssuer(certinexttest.FamilySSL))
		last := m.write("issue/web", map[string]any{"common_name": "c.example.com"})
		after, root := m.authorityNow(false), m.authorityNow(true)
		require.NotEqual(t, keyOf(t, before), keyOf(t, after))

		by := func(query map[string]any) []string {
			query["sort"] = "name"
			return m.found("inventory/certs", query)
		}
		all, first, second := []string{"a.example.com", "b.example.com", "c.example.com"}, []string{"a.example.com", "b.example.com"}, []string{"c.example.com"}
		require.Equal(t, first, by(map[string]any{"chain_key": keyOf(t, before)}))
		require.Equal(t, second, by(map[string]any{"chain_key": strings.ToUpper(keyOf(t, after))}))
		require.Equal(t, all, by(map[string]any{"chain_key": keyOf(t, root)}))
		require.Empty(t, by(map[string]any{"chain_key": strings.Repeat("0", 64)}))
		rootName := strings.TrimPrefix(strings.Split(root.Subject, ",")[0], "CN=")
		require.Equal(t, all, by(map[string]any{"root": strings.ToUpper(rootName)}))
		require.Empty(t, by(map[string]any{"root": "Another Root"}))

		require.Equal(t, all, by(map[string]any{"trust": "accepted"}))
		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, before)})
		require.Equal(t, first, by(map[string]any{"trust": "distrusted"}))
		require.Equal(t, second, by(map[string]any{"trust": "accepted"}))
		m.trustsAs("mozilla")
		require.NoError(t, m.ca.DropRoot("java", root.Name))
		m.trustsAs("java")
		require.Equal(t, second, by(map[string]any{"trust": "refused"}))
		require.Equal(t, all, by(map[string]any{"refused_by": "java"}))
		require.Equal(t, first, by(map[string]any{"refused_by": "mozilla"}), "a distrusted one is accepted by nobody")
		require.Equal(t, second, by(map[string]any{"refused_by": "java", "trust": "refused", "name": "c.example.com"}))

		row := m.query("inventory/certs", map[string]any{"name": "c.example.com"})["certificates"].([]map[string]any)[0]
		require.Equal(t, "refused", row["trust"])
		require.Equal(t, []string{"java"}, row["refused_by"])
		require.Equal(t, rootName, row["root"])
		info := m.must(call{op: logical.ListOperation, path: "certs"}).Data["key_info"].(map[string]any)[last.Data["serial_number"].(string)].(map[string]any)
		require.Equal(t, "refused", info["trust"])
		file, _ := m.raw("inventory/certs", "format=csv", "name=c.example.com")
		require.Contains(t, string(file), ",issuer,root,trust,refused_by,key_type,")
		require.Contains(t, string(file), ","+rootName+",refused,java,")

		m.tryDelete("config/trust/java")
		m.write("config/trust", map[string]any{"distrusted_keys": ""})
		require.Equal(t, all, by(map[string]any{"trust": "accepted"}))
		m.start()
		require.Equal(t, first, by(map[string]any{"chain_key": keyOf(t, before)}))

		for field, c := range map[string][2]string{
			"chain_key":  {"abc", `chain_key: "abc" is no SHA-256`},
			"trust":      {"maybe", `trust: "maybe" is none of accepted, partly, refused, distrusted, unknown`},
			"refused_by": {"mozila", `refused_by: "mozila" is none of mozilla`},
		} {
			require.Contains(t, m.unreadable("inventory/certs", map[string]any{field: c[0]}), c[1])
		}
	})
}

// A certificate's own key may be refused as well. It is no key of its chain: the others are fine.
func TestAnOwnKeyThatClientsRefuseIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		first := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		m.write("issue/web", map[string]any{"common_name": "b.example.com"})
		sum := sha256.Sum256(parseCertificate(t, first.Data["certificate"].(string)).RawSubjectPublicKeyInfo)
		m.write("config/trust", map[string]any{"distrusted_keys": hex.EncodeToString(sum[:])})
		require.Equal(t, []string{"a.example.com"}, m.found("inventory/certs", map[string]any{"trust": "distrusted"}))
		require.Equal(t, []string{"b.example.com"}, m.found("inventory/certs", map[string]any{"trust": "accepted"}))
		require.Contains(t, m.trustOf(first.Data)["distrusted"].([]string)[0], hex.EncodeToString(sum[:]))
		require.Empty(t, m.found("inventory/certs", map[string]any{"chain_key": hex.EncodeToString(sum[:])}))
	})
}

// Where a CA is cross-signed, both roots find its certificates, and a refused key of one chain is said without being all.
func TestCrossSignedCertificatesAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		m.ca.Configure(func(s *certinexttest.Server) { s.CrossSigned = true })
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		for _, ca := range m.ca.CAs() {
			if ca.Family != certinexttest.FamilySSL || !ca.Root {
				continue
			}
			name := strings.TrimPrefix(strings.Split(ca.Subject, ",")[0], "CN=")
			require.Len(t, m.found("inventory/certs", map[string]any{"root": name}), 1, name)
			require.Len(t, m.found("inventory/certs", map[string]any{"chain_key": keyOf(t, ca)}), 1, name)
			m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, ca)})
		}
		require.Len(t, m.found("inventory/certs", map[string]any{"trust": "distrusted"}), 1, "only the elder root came with it")
		m.write("config/trust/younger", map[string]any{"roots": m.authorityNow(true).CertificatePEM})
		require.Len(t, m.found("inventory/certs", map[string]any{"trust": "partly"}), 1)
		trust := m.trustOf(first.Data)
		require.Empty(t, trust["distrusted"], "whoever knows the younger root accepts it")
		require.Len(t, trust["avoid"], 1)
	})
}

// countsOf is what an answer counts of certificates that clients refuse.
func countsOf(data map[string]any) string {
	return fmt.Sprint(data["live"], data["distrusted"], data["partly"], data["refused_by"], data["unknown"], data["unfinished"])
}

// What a write concerns is told at once, and what there is of it by status, metrics and config/check.
func TestWhatClientsRefuseIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		revoked := m.write("issue/web", map[string]any{"common_name": "b.example.com"})
		before, root := m.authorityNow(false), m.authorityNow(true)
		m.write("revoke", map[string]any{"serial_number": revoked.Data["serial_number"]})
		require.NoError(t, m.ca.ReplaceIssuer(certinexttest.FamilySSL))
		m.write("roles/mail", dvRole(map[string]any{"generate_lease": false, "trust": "refuse"}))
		m.write("issue/mail", map[string]any{"common_name": "c.example.com"})
		require.NoError(t, m.ca.DropRoot("java", root.Name))

		require.Equal(t, "2 0 0 map[] 0 0", countsOf(m.read("config/check").Data["trust"].(map[string]any)))
		hit := m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, before)})
		require.Equal(t, "2 1 0 map[] 0 0", countsOf(hit.Data), "a revoked one is nobody's")
		require.Equal(t, true, hit.Data["complete"])
		roots, err := m.ca.ClientRoots("java")
		require.NoError(t, err)
		hit = m.write("config/trust/java", map[string]any{"roots": string(roots)})
		require.Equal(t, "2 1 0 map[java:2] 0 0", countsOf(hit.Data))

		certs := m.read("status").Data["certificates"].(map[string]any)
		require.Equal(t, "2 1 0 map[java:2] 0", fmt.Sprint(certs["live"], certs["distrusted"], certs["partly_distrusted"], certs["refused_by"], certs["trust_unknown"]))
		text, _ := m.raw("metrics")
		require.Contains(t, string(text), "\ncertinext_certificates_distrusted 1\n")
		require.Contains(t, string(text), "\ncertinext_certificates_refused{family=\"java\"} 2\n")

		problems, notes := m.checked()
		require.Contains(t, problems, "role mail: trust: its latest certificate, ")
		require.Contains(t, problems, "vault write certinext/roles/mail trust=warn")
		require.Contains(t, notes, "role web: trust: its latest certificate, ")
		require.NotContains(t, notes, "role mail: trust")
		require.Contains(t, notes, "trust: 1 live certificate with a key that clients refuse in each chain")
		require.Contains(t, notes, "trust: 2 live certificates that java does not accept")
		m.write("roles/next", dvRole(map[string]any{"trust": "refuse"}))
		problems, _ = m.checked()
		require.Contains(t, problems, "role next: trust: its product's latest certificate, ")

		m.tryDelete("config/trust/java")
		m.write("config/trust", map[string]any{"distrusted_keys": ""})
		problems, notes = m.checked()
		require.NotContains(t, problems+notes, "trust:")
	})
}
