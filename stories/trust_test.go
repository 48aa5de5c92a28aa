// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// dvRole is a role for DV certificates below example.com, with changes.
func dvRole(changes map[string]any) map[string]any {
	role := map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true}
	maps.Copy(role, changes)
	return role
}

// keyOf returns the SHA-256 of the public key of a CA of the simulator's, in hexadecimal.
func keyOf(t *testing.T, ca certinexttest.CARecord) string {
	t.Helper()
	block, _ := pem.Decode([]byte(ca.CertificatePEM))
	cert, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// authorityNow returns the CA that is the root of what is issued for SSL now, or that issues it.
func (m *mount) authorityNow(isRoot bool) certinexttest.CARecord {
	m.t.Helper()
	for _, ca := range m.ca.CAs() {
		if ca.Family == certinexttest.FamilySSL && ca.Root == isRoot && (isRoot || ca.Signs) {
			return ca
		}
	}
	m.t.Fatal("there is no such CA")
	return certinexttest.CARecord{}
}

// trustsAs has the mount know the roots of a family of clients, as the simulator publishes them.
func (m *mount) trustsAs(client string) {
	m.t.Helper()
	roots, err := m.ca.ClientRoots(client)
	require.NoError(m.t, err)
	m.write("config/trust/"+client, map[string]any{"roots": string(roots)})
}

func (m *mount) trustOf(data map[string]any) map[string]any {
	m.t.Helper()
	return m.certificate(data)["trust"].(map[string]any)
}

// trusting is a mount whose first certificate tells which CAs there are.
func trusting(t *testing.T, role map[string]any) *mount {
	t.Helper()
	m := newMount(t, validated(certinexttest.Live))
	m.write("roles/web", dvRole(role))
	return m
}

func TestAKeyThatClientsRefuseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Empty(t, first.Warnings)
		require.Equal(t, map[string]any{"distrusted": []string{}, "avoid": []string{}, "accepted_by": []string{}, "refused_by": []string{}, "unfinished": false}, m.trustOf(first.Data))

		issuing := m.authorityNow(false)
		key := keyOf(t, issuing)
		m.write("config/trust", map[string]any{"distrusted_keys": strings.ToUpper(key)})
		settings := m.read("config/trust").Data
		require.Equal(t, []string{key}, settings["distrusted_keys"])
		require.Len(t, settings["builtin_keys"], 8)
		require.Equal(t, []string{key + " " + issuing.Subject}, m.trustOf(first.Data)["distrusted"], "what was issued before is told, too")
		second := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		require.Contains(t, strings.Join(second.Warnings, "\n"), "clients refuse the key of "+issuing.Subject)

		m.write("config/trust", map[string]any{"distrusted_keys": ""})
		require.Empty(t, m.write("issue/web", map[string]any{"common_name": "b.example.com"}).Warnings)
		require.Empty(t, m.trustOf(first.Data)["distrusted"])
	})
}

func TestARoleRefusesWhatClientsRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"trust": "refuse", "generate_lease": false})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, m.authorityNow(false))})
		again := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Equal(t, first.Data["serial_number"], again.Data["serial_number"], "somebody has it already")
		require.Contains(t, strings.Join(again.Warnings, "\n"), "clients refuse the key of")

		reason := m.refused("issue/web", map[string]any{"common_name": "a.example.com"})
		require.Contains(t, reason, "clients refuse the key of")
		require.Contains(t, reason, "An operator of Vault has to release or revoke it")
		require.Equal(t, reason, m.refused("issue/web", map[string]any{"common_name": "a.example.com"}), "nothing is bought beside it")
		require.Len(t, m.ca.Orders(), 2)
		var held map[string]any
		for _, id := range m.list("orders/web") {
			if o := m.read("orders/web/" + id).Data; o["state"] == "held" {
				held = o
			}
		}
		require.NotNil(t, held)
		m.start()
		require.Equal(t, "held", m.read("orders/web/" + held["order_id"].(string)).Data["state"], "for good")
		m.release(held["order_id"])
		released := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		require.Contains(t, strings.Join(released.Warnings, "\n"), "an operator released the certificate although clients refuse")
		require.NotEmpty(t, released.Data["private_key"])
		require.Len(t, m.ca.Orders(), 2)
	})
}

// What is held does not wait for the next answer: a pass that finds the certificate holds it, too.
func TestAnOrderWithoutARequestIsHeldForTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"trust": "refuse", "generate_lease": false})
		m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, m.authorityNow(false))})
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
		id := m.write("orders/web", map[string]any{"common_name": "b.example.com"}).Data["order_id"].(string)
		m.waits(2 * time.Hour)
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "clients refuse the key of")
		require.Equal(t, "held", m.read("orders/web/" + id).Data["state"])
	})
}

func TestFamiliesOfClientsAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		for _, client := range []string{"mozilla", "java"} {
			m.trustsAs(client)
		}
		require.Equal(t, []string{"java", "mozilla"}, m.list("config/trust"))
		require.Equal(t, []string{"java", "mozilla"}, m.trustOf(first.Data)["accepted_by"])
		require.NoError(t, m.ca.DropRoot("mozilla", m.authorityNow(true).Name))
		m.trustsAs("mozilla")
		require.Equal(t, []string{"java"}, m.trustOf(first.Data)["accepted_by"])
		require.Equal(t, []string{"mozilla"}, m.trustOf(first.Data)["refused_by"])
		second := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
		require.Contains(t, strings.Join(second.Warnings, "\n"), "trusted by mozilla")

		m.start()
		require.Equal(t, []string{"mozilla"}, m.trustOf(first.Data)["refused_by"])
		roots := m.read("config/trust/mozilla").Data
		require.Positive(t, roots["count"])
		require.Contains(t, roots["roots"], "BEGIN CERTIFICATE")
		m.tryDelete("config/trust/mozilla")
		require.Empty(t, m.trustOf(first.Data)["refused_by"])
		require.Nil(t, m.read("config/trust/mozilla"))
	})
}

// A client that has only the elder root finds it by the cross-signed certificate, and one that has
// only the younger one stops there.
func TestACrossSignedChainHasSeveralEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.CrossSigned = true
		m := newMount(t, ca)
		m.write("roles/web", dvRole(map[string]any{"generate_lease": false}))
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		var roots []certinexttest.CARecord
		for _, ca := range m.ca.CAs() {
			if ca.Family == certinexttest.FamilySSL && ca.Root {
				roots = append(roots, ca)
			}
		}
		require.Len(t, roots, 2)
		for i, root := range roots {
			m.write("config/trust/"+[]string{"younger", "elder"}[i], map[string]any{"roots": root.CertificatePEM})
		}
		require.Equal(t, []string{"elder", "younger"}, m.trustOf(first.Data)["accepted_by"])
		m.write("config/trust", map[string]any{"distrusted_keys": keyOf(t, roots[1])})
		trust := m.trustOf(first.Data)
		require.Equal(t, []string{"younger"}, trust["accepted_by"])
		require.Equal(t, []string{"elder"}, trust["refused_by"])
	})
}

func TestWhatIsTrustedIsWrittenByName(t *testing.T) {
	m := trusting(t, nil)
	for path, c := range map[string]struct {
		data map[string]any
		says string
	}{
		"config/trust":         {map[string]any{"distrusted_keys": "abc"}, "distrusted_keys: \"abc\" is no SHA-256"},
		"config/trust/mozilla": {map[string]any{"roots": "abc"}, "roots: holds no root"},
		"config/trust/Mozilla": {map[string]any{"roots": "abc"}, "family: \"Mozilla\" is no name"},
		"roles/web":            {map[string]any{"product_code": "842", "allowed_domains": "example.com", "trust": "perhaps"}, "trust: must be warn or refuse"},
	} {
		require.Contains(t, m.refused(path, c.data), c.says, path)
	}
	require.Contains(t, m.refused("config/trust", nil), "distrusted_keys: is missing")
	require.Equal(t, "warn", m.read("roles/web").Data["trust"], "the default")
}

// Another node's writes are seen at once.
func TestWhatIsTrustedIsKnownOnEveryNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := trusting(t, map[string]any{"generate_lease": false})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		key := keyOf(t, m.authorityNow(false))
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "trust/keys", Value: []byte(`{"version":1,"keys":["` + key + `"]}`)}))
		m.backend.InvalidateKey(t.Context(), "trust/keys")
		require.NotEmpty(t, m.trustOf(first.Data)["distrusted"])
	})
}
