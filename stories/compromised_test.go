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
				m.passMinutes(2) // its order, which a new process looks at once more, is over
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

// The key is out whatever CERTInext says to the revocation, and the refusal of another certificate says what became of that.
func TestWhatBecameOfACompromisedKeysCertificateIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		revoke func(m *mount, data map[string]any)
		want   string
	}{
		"revoked": {func(m *mount, data map[string]any) { m.write("revoke", data) }, "was revoked for that. Make"},
		"queued": {func(m *mount, data map[string]any) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
			require.Equal(m.t, "queued", m.write("revoke", data).Data["state"])
		}, "is to be revoked for that. Make"},
		"refused": {func(m *mount, data map[string]any) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Status: 422})
			m.refused("revoke", data)
		}, "was to be revoked for that, and is not: CERTInext refused"},
		"a predecessor": {func(m *mount, data map[string]any) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
			order := m.write("orders/web/"+m.list("orders/web")[0]+"/reissue", nil)
			m.passMinutes(2)
			m.write("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
			require.Contains(m.t, m.refused("revoke", data), "revoke the newest certificate of its order")
		}, "was to be revoked for that, and is not: CERTInext refused, or revokes it only with the newest one of its order"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				request := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
				issued := m.write("sign/web", request)
				c.revoke(m, map[string]any{"serial_number": issued.Data["serial_number"], "reason": "key-compromise"})
				text := m.refused("sign/web", map[string]any{"csr": request["csr"], "force_new": true})
				require.Contains(t, text, "csr: its key is compromised: certificate "+serialOf(issued)+" ")
				require.Contains(t, text, c.want)
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
