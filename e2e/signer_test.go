// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// Two people share a role for document signers. Each gets a certificate with his own names, which are those of his identity.
func TestADocumentSignersCertificateIsForTheIdentityThatAsks(t *testing.T) {
	t.Parallel()
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{Dialect: dialect})
			v := startVault(t)
			v.configure(ca)
			v.enableLogins()
			v.write("certinext/roles/signer", map[string]any{
				"product_code": "819", "attested": true, "key_type": "any", "generate_lease": false,
				"subject": map[string]any{
					"first_name": "{{identity.entity.metadata.first_name}}", "last_name": "Team",
					"email": "{{identity.entity.metadata.email}}", "country_code": "IN",
				},
			})
			for _, who := range []string{"platform", "records"} {
				person := v.person(who, map[string]string{"first_name": who, "email": who + "@example.com"},
					`path "certinext/orders/signer" { capabilities = ["update"] }
					 path "certinext/orders/signer/*" { capabilities = ["read", "update"] }`)
				v.signs(ca, person, who)
			}
		})
	}
}

// signs orders a person's certificate, uploads a document, has it approved, and collects.
func (v *server) signs(ca *authority, person *caller, who string) {
	t := v.t
	t.Helper()
	_, request := csrOf(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: who + " Team"}})
	order := person.write("certinext/orders/signer", map[string]any{"csr": request}).Data
	require.Equal(t, []any{"pending", "requester", who + " Team"}, []any{order["state"], order["waits_for"], order["common_name"]})
	path := "certinext/orders/signer/" + text(t, order["order_id"])
	order = person.write(path+"/documents", map[string]any{
		"file_name": "identity.pdf", "content": base64.StdEncoding.EncodeToString([]byte("%PDF-1.7\n%%EOF\n")),
	}).Data
	require.Equal(t, "approver", order["waits_for"])
	require.NoError(t, ca.Approve(text(t, order["ca_order_id"])))
	leaf := ca.checkChain(t, person.persist(30*time.Second, path+"/collect", nil))
	require.Equal(t, who+" Team", leaf.Subject.CommonName)
	require.Equal(t, []string{who + "@example.com"}, leaf.EmailAddresses)
}

// S/MIME is ordered through version 1, also by an account whose other orders go through version 2.
func TestAnSMIMECertificateForAnIdentity(t *testing.T) {
	t.Parallel()
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{Dialect: dialect})
			v := startVault(t)
			v.configure(ca)
			v.enableLogins()
			v.write("certinext/roles/mail", map[string]any{
				"product_code": "914", "key_type": "rsa", "subject": map[string]any{"email": "{{identity.entity.metadata.email}}"},
			})
			person := v.person("platform", map[string]string{"email": "platform@example.com"}, `path "certinext/issue/mail" { capabilities = ["update"] }`)
			resp := person.write("certinext/issue/mail", nil)
			leaf := ca.check(t, resp)
			require.Equal(t, []string{"platform@example.com"}, leaf.EmailAddresses)
			require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}, leaf.ExtKeyUsage)
			v.endLease(resp)
			require.Equal(t, "revoked", ca.onlyOrder(t).Status)
		})
	}
}
