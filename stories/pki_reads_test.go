// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// keysOf lists a path with the fields of a request.
func (m *mount) keysOf(path string, data map[string]any) []string {
	m.t.Helper()
	keys, _ := m.must(call{op: logical.ListOperation, path: path, data: data}).Data["keys"].([]string)
	return keys
}

// TestListsAreReadInParts: from one key to the next, from a key that is not there, and whatever the limit.
func TestListsAreReadInParts(t *testing.T) {
	ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
	m := newMount(t, ca)
	for _, role := range []string{"api", "mail"} {
		m.write("roles/"+role, map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
	}
	var queued int
	for _, name := range []string{"a", "b", "c"} {
		serial := m.write("issue/web", map[string]any{"common_name": name + ".example.com"}).Data["serial_number"]
		m.write("revoke", map[string]any{"serial_number": serial})
		serial = m.write("issue/web", map[string]any{"common_name": name + ".example.com", "force_new": true}).Data["serial_number"]
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		queued += len(m.write("revoke", map[string]any{"serial_number": serial}).Warnings)
		ca.ClearFaults()
	}
	require.Positive(t, queued)
	for path, count := range map[string]int{"roles": 3, "certs": 6, "certs/revoked": 3, "certs/revocation-queue": 3, "issuers": 2} {
		all := m.list(path)
		require.Len(t, all, count, path)
		require.Equal(t, all[:2], m.keysOf(path, map[string]any{"limit": 2}), path)
		require.Equal(t, all[:1], m.keysOf(path, map[string]any{"limit": "1"}), "%s: a number in a query is a text", path)
		require.Equal(t, all[1:], m.keysOf(path, map[string]any{"after": all[0]}), path)
		require.Equal(t, all[1:2], m.keysOf(path, map[string]any{"after": all[0], "limit": 1}), path)
		require.Equal(t, all[1:], m.keysOf(path, map[string]any{"after": all[0] + "!", "limit": 100}), "%s: after a key that is not there", path)
		require.Empty(t, m.keysOf(path, map[string]any{"after": all[len(all)-1]}), path)
		for _, limit := range []int{0, -1} {
			require.Equal(t, all, m.keysOf(path, map[string]any{"limit": limit, "after": ""}), path)
		}
		resp, err := m.send(call{op: logical.ListOperation, path: path, data: map[string]any{"limit": "many"}})
		require.NoError(t, err)
		require.True(t, resp.IsError(), path)
		if info, has := m.must(call{op: logical.ListOperation, path: path, data: map[string]any{"limit": 1}}).Data["key_info"].(map[string]any); has {
			require.Len(t, info, 1, path)
			require.Contains(t, info, all[0], path)
		}
	}
	serials := m.list("certs")
	dashes := strings.ToUpper(strings.ReplaceAll(serials[2], ":", "-"))
	require.Equal(t, serials[3:], m.keysOf("certs", map[string]any{"after": dashes}))
}

// notThere reads a path that has to be answered with a 404, and returns what it says.
func (m *mount) notThere(op logical.Operation, path string) string {
	m.t.Helper()
	resp, err := m.send(call{op: op, path: path})
	require.Nil(m.t, resp, path)
	var coded logical.HTTPCodedError
	require.ErrorAs(m.t, err, &coded, path)
	require.Equal(m.t, http.StatusNotFound, coded.Code(), path)
	return coded.Error()
}

// TestIssuersAreTheCAsAboveTheNewestCertificate: under an id of their own and, the issuing one, as default.
func TestIssuersAreTheCAsAboveTheNewestCertificate(t *testing.T) {
	m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	require.Contains(t, m.notThere(logical.ListOperation, "issuers"), "unable to find")
	for _, path := range []string{"issuer/default", "issuer/default/json", "issuer/default/der", "issuer/default/pem"} {
		require.Contains(t, m.notThere(logical.ReadOperation, path), "unable to find", path)
	}
	issued := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
	chain := issued.Data["ca_chain"].([]string)
	stored := m.read("cert/" + issued.Data["serial_number"].(string)).Data
	require.Equal(t, strings.Join(chain, "\n"), stored["ca_chain"])

	listed := m.must(call{op: logical.ListOperation, path: "issuers"}).Data
	require.Len(t, listed["keys"], len(chain))
	defaults := 0
	for _, id := range listed["keys"].([]string) {
		info := listed["key_info"].(map[string]any)[id].(map[string]any)
		one := m.read("issuer/" + id).Data
		require.Equal(t, id, one["issuer_id"])
		block, _ := pem.Decode([]byte(one["certificate"].(string)))
		ca, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		require.Equal(t, hex.EncodeToString(ca.SerialNumber.Bytes()), strings.ReplaceAll(info["serial_number"].(string), ":", ""))
		require.Equal(t, ca.Raw, m.read("issuer/" + id + "/der").Data[logical.HTTPRawBody])
		require.Equal(t, one["certificate"], string(m.read("issuer/" + id + "/pem").Data[logical.HTTPRawBody].([]byte)))
		above := one["ca_chain"].([]string)
		require.Equal(t, chain[len(chain)-len(above):], above)
		require.Equal(t, above[0], one["certificate"])
		delete(one, "key_id")
		require.Equal(t, one, m.read("issuer/"+id+"/json").Data)
		if info["is_default"].(bool) {
			defaults++
			require.Equal(t, stored["issuer_id"], id)
			require.Equal(t, one, m.read("issuer/default/json").Data)
		}
	}
	require.Equal(t, 1, defaults)
	require.Contains(t, m.notThere(logical.ReadOperation, "issuer/someone/json"), "someone")
	require.Contains(t, m.notThere(logical.ReadOperation, "issuer/default/crl"), "unable to find")
	require.Contains(t, m.notThere(logical.ReadOperation, "issuer/someone/pem"), "someone")

	ids := listed["keys"]
	again := m.write("issue/web", map[string]any{"common_name": "again.example.com"}).Data["serial_number"].(string)
	require.Equal(t, ids, m.must(call{op: logical.ListOperation, path: "issuers"}).Data["keys"], "a CA has the same id for ever")
	require.Equal(t, stored["issuer_id"], m.read("cert/" + again).Data["issuer_id"])
}

// TestWhoHasSignedIsSaid: in every answer that holds a certificate.
func TestWhoHasSignedIsSaid(t *testing.T) {
	m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	for _, format := range []string{"pem", "der", "pem_bundle", "pkcs7", "pkcs12_bundle", "jks_bundle"} {
		issued := m.write("issue/web", map[string]any{"common_name": "www.example.com", "format": format}).Data
		issuer := m.read("issuer/default").Data["certificate"].(string)
		block, _ := pem.Decode([]byte(issuer))
		ca, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		keyID := issued["authority_key_id"].(string)
		require.Equal(t, hex.EncodeToString(ca.SubjectKeyId), strings.ReplaceAll(keyID, ":", ""), format)
		require.Equal(t, keyID, m.read("cert/" + issued["serial_number"].(string)).Data["authority_key_id"])
	}
}
