// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A key that is out is not bought a certificate for again, whoever asks, under whatever role and names, and however the mount learned
// of it.
func TestACompromisedKeyIsNotCertifiedAgain(t *testing.T) {
	for name, revoke := range map[string]func(m *mount, issued *logical.Response, private string){
		"revoked as compromised": func(m *mount, issued *logical.Response, _ string) {
			m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
		},
		"revoked while CERTInext is away": func(m *mount, issued *logical.Response, _ string) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
			m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
		},
		"revoked by whoever has the key": func(m *mount, issued *logical.Response, private string) {
			m.write("revoke-with-key", map[string]any{
				"serial_number": issued.Data["serial_number"], "private_key": private, "reason": "key-compromise",
			})
		},
		"said to be compromised later": func(m *mount, issued *logical.Response, _ string) {
			m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
			m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
		},
		"revoked elsewhere": func(m *mount, issued *logical.Response, _ string) {
			m.passMinutes(15) // the order is over, and its key erased
			elsewhere := newMount(m.t, m.ca)
			for _, at := range []*mount{elsewhere, m} {
				at.write("sync", nil)
				at.passMinutes(5)
				if at == elsewhere {
					at.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
				m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
				key := newKey(t, elliptic.P256())
				der, err := x509.MarshalECPrivateKey(key)
				require.NoError(t, err)
				private := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
				issued := m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
				other := m.write("issue/other", map[string]any{"common_name": "x.example.com"})
				revoke(m, issued, private)
				m.start()
				orders, calls := len(ca.Orders()), ca.Calls()[certinexttest.OpCreateSSL]
				for path, name := range map[string]string{
					"sign/web": "www.example.com", "sign/other": "b.example.com", "orders/other": "c.example.com",
				} {
					require.Contains(t, m.refused(path, map[string]any{"csr": csr(t, key, name)}), "csr: its key is compromised")
				}
				require.Contains(t, m.refused("renew/other/"+other.Data["serial_number"].(string),
					map[string]any{"csr": csr(t, key, "x.example.com")}), "csr: its key is compromised")
				require.Len(t, ca.Orders(), orders)
				require.Equal(t, calls, ca.Calls()[certinexttest.OpCreateSSL])
				m.chainOK(m.write("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}))
			})
		})
	}
}

// What is revoked for another reason may be certified again: Terraform does so with each change.
func TestAKeyThatWasMerelyReplacedIsCertifiedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		request := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
		issued := m.write("sign/web", request)
		m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"], "reason": "superseded"})
		m.chainOK(m.write("sign/web", request))
	})
}
