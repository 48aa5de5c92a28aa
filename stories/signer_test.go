// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// signers mounts the engine with a role for natural persons, whose names are those of the requester's entity.
func signers(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := bareMount(t, ca)
	m.write("config", m.account())
	m.system.EntityVal = &logical.Entity{ID: "entity-a", Metadata: map[string]string{
		"first": "Platform", "last": "Team", "email": "platform@example.com", "passport": "X1234567",
	}}
	m.write("roles/signer", map[string]any{
		"product_code": "819", "attested": true, "key_type": "any", "generate_lease": false,
		"subject": map[string]any{
			"first_name": "{{identity.entity.metadata.first}}", "last_name": "{{identity.entity.metadata.last}}",
			"email": "{{identity.entity.metadata.email}}", "identification_number": "{{identity.entity.metadata.passport}}",
			"country_code": "IN", "locality": "Bengaluru", "state": "Karnataka",
		},
		"allowed_subject_fields": "designation",
	})
	return m
}

const aPDF = "%PDF-1.7\n%%EOF\n"

// as is a write of the entity that signs.
func (m *mount) as(path string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(call{op: logical.UpdateOperation, path: path, data: data, entity: "entity-a"})
}

func TestADocumentSignerFromItsDocumentsToItsCertificate(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := &certinexttest.Server{Dialect: dialect}
		m := signers(t, ca)
		require.Equal(t, "signature", m.read("roles/signer").Data["family"])
		order := m.as("orders/signer", map[string]any{
			"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team"), "subject": map[string]any{"designation": "Registrar"},
		}).Data
		require.Equal(t, []any{"pending", "requester", "Platform Team"}, []any{order["state"], order["waits_for"], order["common_name"]})
		path := "orders/signer/" + order["order_id"].(string)
		require.Contains(t, order["needs"].([]string)[0], path+"/documents")
		require.Contains(t, m.refused(path+"/collect", nil), "another requester")

		order = m.as(path+"/documents", map[string]any{
			"file_name": "passport.pdf", "description": "passport", "content": base64.StdEncoding.EncodeToString([]byte(aPDF)),
		}).Data
		require.Equal(t, "approver", order["waits_for"])
		require.Contains(t, lastLines(order), "passport.pdf (15 bytes, SHA-256 ")
		require.Equal(t, 1, ca.Orders()[0].Documents)

		require.NoError(t, ca.Approve(order["ca_order_id"].(string)))
		time.Sleep(time.Minute)
		m.pass()
		collected := m.as(path+"/collect", nil)
		leaf := m.chainOK(collected)
		require.Equal(t, "Platform Team", leaf.Subject.CommonName)
		require.Equal(t, []string{"Bengaluru"}, leaf.Subject.Locality)
		require.Equal(t, []string{"platform@example.com"}, leaf.EmailAddresses)
		require.NotContains(t, collected.Data, "private_key")

		time.Sleep(time.Hour)
		m.pass()
		for key, value := range m.storage.dump(t) {
			require.NotContains(t, string(value), "X1234567", "%s still holds the number of an identity document", key)
		}
		m.as("revoke/signer", map[string]any{"serial_number": collected.Data["serial_number"], "reason": "superseded"})
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

// lastLines is an order's timeline as text.
func lastLines(order map[string]any) string {
	var b strings.Builder
	for _, line := range order["timeline"].([]map[string]any) {
		b.WriteString(line["what"].(string) + "\n")
	}
	return b.String()
}

func TestASignersRequestIsRefusedByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := new(certinexttest.Server)
		m := signers(t, ca)
		request := csr(t, newKey(t, elliptic.P256()), "Platform Team")
		for name, c := range map[string]struct {
			path string
			data map[string]any
			want string
		}{
			"no key is made for a role of attested ones":    {"issue/signer", nil, "csr: is required"},
			"a person has no host names":                    {"sign/signer", map[string]any{"csr": request, "alt_names": "www.example.com"}, "alt_names: "},
			"nor are any taken from a CSR":                  {"sign/signer", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team", "www.example.com")}, "csr: holds host names"},
			"the name follows from the subject":             {"sign/signer", map[string]any{"csr": request, "common_name": "Another Team"}, "common_name: "},
			"what the role says cannot be said differently": {"sign/signer", map[string]any{"csr": request, "subject": map[string]any{"email": "web@example.com"}}, "email is set by the role"},
			"what it leaves to nobody cannot be said":       {"sign/signer", map[string]any{"csr": request, "subject": map[string]any{"postal_code": "560001"}}, "postal_code is not left to the requester"},
		} {
			resp, err := m.send(call{op: logical.UpdateOperation, path: c.path, data: c.data, entity: "entity-a"})
			require.NoError(t, err, name)
			require.True(t, resp.IsError(), name)
			require.Contains(t, resp.Error().Error(), c.want, name)
		}
		require.Contains(t, m.refused("sign/signer", map[string]any{"csr": request}), "no value for this requester", "a token without an entity")
		require.Empty(t, ca.Orders())
	})
}

// An order that is waiting can be cancelled, and one whose key no module vouches for is warned of before it is placed.
func TestASignersOrderIsCancelled(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := signers(t, &certinexttest.Server{Dialect: dialect})
		order := m.as("orders/signer", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team")}).Data
		ended := m.must(call{op: logical.DeleteOperation, path: "orders/signer/" + order["order_id"].(string), entity: "entity-a"}).Data
		require.Equal(t, "cancelled", ended["state"])
		require.Equal(t, "cancelled", m.ca.Orders()[0].Status)

		resp := m.must(call{op: logical.PatchOperation, path: "roles/signer", data: map[string]any{"attested": false}})
		require.Contains(t, strings.Join(resp.Warnings, "\n"), "attested is off")
	})
}

// A host of the grid is private PKI with names like any other.
func TestAnIGTFHostIsOrdered(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := bareMount(t, &certinexttest.Server{Dialect: dialect})
		m.write("config", m.account())
		m.write("roles/grid", map[string]any{
			"product_code": "104", "product_variant": "igtf-host", "allowed_domains": "corp.internal", "allow_subdomains": true,
		})
		m.chooseProfile("grid")
		leaf := m.chainOK(m.write("issue/grid", map[string]any{"common_name": "storage.corp.internal", "alt_names": "gate.corp.internal"}))
		require.ElementsMatch(t, []string{"storage.corp.internal", "gate.corp.internal"}, leaf.DNSNames)
		require.Equal(t, "igtf-host", m.ca.Orders()[0].Variant)
	})
}

func TestDocumentsAreRefusedByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := signers(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
		order := m.as("orders/signer", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "Platform Team")}).Data
		path := "orders/signer/" + order["order_id"].(string) + "/documents"
		pdf := base64.StdEncoding.EncodeToString([]byte(aPDF))
		for want, data := range map[string]map[string]any{
			"documents: is empty":                               nil,
			"content: must be a PDF file in base64":             {"file_name": "a.pdf", "content": "%PDF"},
			"documents: cannot be combined with":                {"file_name": "a.pdf", "content": pdf, "documents": []any{map[string]any{"file_name": "b.pdf", "content": pdf}}},
			`documents: "name" is not one of the text fields`:   {"documents": []any{map[string]any{"name": "b.pdf"}}},
			"documents: must be objects":                        {"documents": []any{"x"}},
			"documents[0].file_name: must be the name of a PDF": {"file_name": "a.exe", "content": pdf},
			"documents[0].content: is not a PDF":                {"file_name": "a.pdf", "content": base64.StdEncoding.EncodeToString([]byte("MZ"))},
		} {
			_, refusal := m.asEntity("entity-a", logical.UpdateOperation, path, data)
			require.Contains(t, refusal, want, "%v", data)
		}
		m.write("roles/web", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
		web := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
		require.Contains(t, m.refused("orders/web/"+web+"/documents", map[string]any{"file_name": "a.pdf", "content": pdf}), "needs no documents")
		require.Zero(t, m.ca.Orders()[0].Documents)
	})
}

// A field of the subject that is empty says as much as one that is left out: the same request is the same order.
func TestAnEmptySubjectFieldIsNotAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := signers(t, &certinexttest.Server{})
		text := csr(t, newKey(t, elliptic.P256()), "Platform Team")
		first := m.as("orders/signer", map[string]any{"csr": text})
		again := m.as("orders/signer", map[string]any{"csr": text, "subject": map[string]any{"designation": ""}})
		require.Equal(t, first.Data["order_id"], again.Data["order_id"])
		require.Len(t, m.ca.Orders(), 1, "the same request was bought twice")
	})
}
