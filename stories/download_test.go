// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"archive/zip"
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/smallstep/pkcs7"
	"github.com/stretchr/testify/require"
)

// raw reads a path that answers with bytes, and returns them with their media type.
func (m *mount) raw(path string, query ...string) (body []byte, kind string) {
	m.t.Helper()
	data := map[string]any{}
	for _, q := range query {
		k, v, _ := strings.Cut(q, "=")
		data[k] = v
	}
	resp := m.must(call{op: logical.ReadOperation, path: path, data: data})
	require.NotNil(m.t, resp, "%s is a 404", path)
	require.Equal(m.t, http.StatusOK, resp.Data[logical.HTTPStatusCode], path)
	return resp.Data[logical.HTTPRawBody].([]byte), resp.Data[logical.HTTPContentType].(string)
}

// certificatesIn reads PEM that holds certificates and nothing else.
func certificatesIn(t *testing.T, text []byte) []*x509.Certificate {
	t.Helper()
	var out []*x509.Certificate
	for len(bytes.TrimSpace(text)) > 0 {
		block, rest := pem.Decode(text)
		require.NotNil(t, block, "not PEM: %q", text)
		require.Equal(t, "CERTIFICATE", block.Type)
		c, err := x509.ParseCertificate(block.Bytes)
		require.NoError(t, err)
		out, text = append(out, c), rest
	}
	return out
}

// requestIn reads the CSR of a file.
func requestIn(t *testing.T, text []byte) *x509.CertificateRequest {
	t.Helper()
	block, rest := pem.Decode(text)
	require.NotNil(t, block, "not PEM: %q", text)
	require.Empty(t, rest)
	require.Equal(t, "CERTIFICATE REQUEST", block.Type)
	r, err := x509.ParseCertificateRequest(block.Bytes)
	require.NoError(t, err)
	return r
}

// filesIn reads an archive.
func filesIn(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	require.NoError(t, err)
	out := map[string][]byte{}
	for _, f := range r.File {
		in, err := f.Open()
		require.NoError(t, err)
		out[f.Name], err = io.ReadAll(in)
		require.NoError(t, err)
	}
	return out
}

func TestACertificateIsDownloadedInEveryForm(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		issued := m.write("issue/web", www)
		leaf, chain := m.chainOK(issued), []*x509.Certificate{}
		for _, c := range issued.Data["ca_chain"].([]string) {
			chain = append(chain, parseCertificate(t, c))
		}
		require.NotEmpty(t, chain)
		all := append([]*x509.Certificate{leaf}, chain...)

		for _, at := range []string{
			"cert/" + issued.Data["serial_number"].(string), "cert/" + strings.ReplaceAll(issued.Data["serial_number"].(string), ":", "-"),
			"orders/web/" + issued.Data["order_id"].(string),
		} {
			body, kind := m.raw(at + "/download/crt")
			require.Equal(t, []*x509.Certificate{leaf}, certificatesIn(t, body))
			require.Equal(t, "application/pem-certificate-chain", kind)
			require.True(t, bytes.HasSuffix(body, []byte("-----\n")), "a text file ends in a newline")

			body, kind = m.raw(at + "/download/der")
			require.Equal(t, leaf.Raw, body)
			require.Equal(t, "application/pkix-cert", kind)

			body, kind = m.raw(at + "/download/ca")
			require.Equal(t, chain, certificatesIn(t, body))
			require.Equal(t, "application/pem-certificate-chain", kind)

			body, kind = m.raw(at + "/download/bundle")
			require.Equal(t, all, certificatesIn(t, body))
			require.Equal(t, "application/pem-certificate-chain", kind)
			body, _ = m.raw(at+"/download/bundle", "remove_roots_from_chain=true")
			require.Equal(t, all[:2], certificatesIn(t, body), "the leaf and the intermediate, without the root")

			body, kind = m.raw(at + "/download/pkcs7")
			p7, err := pkcs7.Parse(body)
			require.NoError(t, err)
			require.Equal(t, all, p7.Certificates)
			require.Empty(t, p7.Signers)
			require.Equal(t, "application/pkcs7-mime", kind)

			body, kind = m.raw(at + "/download/csr")
			require.Equal(t, leaf.PublicKey, requestIn(t, body).PublicKey)
			require.Equal(t, "application/x-pem-file", kind)

			body, kind = m.raw(at + "/download/zip")
			require.Equal(t, "application/zip", kind)
			inside := filesIn(t, body)
			require.Len(t, inside, 5)
			for form, name := range map[string]string{
				"crt": "certificate.crt", "ca": "ca_chain.crt", "bundle": "bundle.crt", "pkcs7": "certificate.p7b", "csr": "request.csr",
			} {
				alone, _ := m.raw(at + "/download/" + form)
				require.Equal(t, alone, inside[name], name)
			}
			require.NotContains(t, string(body), "PRIVATE KEY")
			time.Sleep(time.Minute)
			again, _ := m.raw(at + "/download/zip")
			require.Equal(t, body, again, "the same certificate gives the same archive")
		}
	})
}

func TestRawPathsAreThoseOfVaultPKI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for _, path := range []string{"cert/ca/raw", "cert/ca/raw/pem"} {
			require.Equal(t, http.StatusNoContent, m.read(path).Data[logical.HTTPStatusCode], "nothing has been issued yet")
		}
		issued := m.write("issue/web", www)
		serial := issued.Data["serial_number"].(string)
		leaf, issuer := m.chainOK(issued), parseCertificate(t, issued.Data["issuing_ca"].(string))
		for path, want := range map[string]*x509.Certificate{"cert/" + serial: leaf, "cert/ca": issuer} {
			body, kind := m.raw(path + "/raw")
			require.Equal(t, want.Raw, body, path)
			require.Equal(t, "application/pkix-cert", kind)
			body, kind = m.raw(path + "/raw/pem")
			require.Equal(t, []*x509.Certificate{want}, certificatesIn(t, body), path)
			require.Equal(t, "application/pem-certificate-chain", kind)
		}
		require.Subset(t, m.backend.SpecialPaths().Unauthenticated, []string{"cert/ca/raw", "cert/ca/raw/pem"})
		require.NotContains(t, m.backend.SpecialPaths().Unauthenticated, "cert/*")
	})
}

func TestADownloadIsReadAsJSONToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		at := "cert/" + m.write("issue/web", www).Data["serial_number"].(string) + "/download/"
		for form, name := range map[string]string{
			"crt": "certificate.crt", "der": "certificate.cer", "ca": "ca_chain.crt", "bundle": "bundle.crt",
			"pkcs7": "certificate.p7b", "csr": "request.csr", "zip": "certificate.zip",
		} {
			body, kind := m.raw(at + form)
			data := m.must(call{op: logical.ReadOperation, path: at + form, data: map[string]any{"encoding": "base64"}}).Data
			require.Equal(t, map[string]any{
				"content": base64.StdEncoding.EncodeToString(body), "content_type": kind, "file_name": name,
			}, data)
		}
	})
}

func TestDownloadsThatCannotBeAreRefusedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", www).Data
		serial, id := issued["serial_number"].(string), issued["order_id"].(string)
		ca.IssueDelay = time.Hour
		open := m.write("orders/web", map[string]any{"common_name": "slow.example.com"}).Data["order_id"].(string)
		for path, want := range map[string]string{
			"cert/" + serial + "/download/exe":                 `form: must be crt, der, ca, bundle, pkcs7, csr or zip`,
			"cert/" + serial + "/download/crt?encoding=hex":    `encoding: "hex" is not raw or base64`,
			"cert/" + strings.Repeat("ab", 40) + "/raw":        "serial:",
			"orders/web/" + open + "/download/crt":             "is not finished: CERTInext says pending",
			"orders/web/" + open + "/download/zip":             "is not finished: CERTInext says pending",
			"orders/web/" + id + "/download/crt?common_name=x": "unknown field: common_name",
		} {
			path, query, _ := strings.Cut(path, "?")
			data := map[string]any{}
			if k, v, ok := strings.Cut(query, "="); ok {
				data[k] = v
			}
			resp, err := m.send(call{op: logical.ReadOperation, path: path, data: data})
			require.NoError(t, err, path)
			require.ErrorContains(t, resp.Error(), want, path)
		}
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		for _, path := range []string{
			"cert/01-02/raw", "cert/01-02/raw/pem", "cert/01-02/download/crt", "orders/web/none/download/crt",
			"orders/other/" + id + "/download/crt",
		} {
			require.Nil(t, m.read(path), "%s is not a 404", path)
		}
		requestIn(t, first(m.raw("orders/web/"+open+"/download/csr")))

		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + open})
		resp, err := m.send(call{op: logical.ReadOperation, path: "orders/web/" + open + "/download/crt"})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "is cancelled")
	})
}

func first(body []byte, _ string) []byte { return body }

// TestDownloadsOutliveTheOrder: what was delivered, revoked, or issued for a caller's own CSR is served from storage, by
// another process, while CERTInext is away.
func TestDownloadsOutliveTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		request := csr(t, newKey(t, elliptic.P256()), "www.example.com")
		signed := m.write("sign/web", map[string]any{"csr": "  text before\n" + request})
		at := "cert/" + signed.Data["serial_number"].(string) + "/download/"
		before := filesIn(t, first(m.raw(at+"zip")))
		require.Equal(t, strings.TrimSpace(request), strings.TrimSpace(string(before["request.csr"])))

		m.endLease(signed)
		time.Sleep(time.Hour)
		m.pass()
		require.NotContains(t, strings.Join(m.storageKeys(), " "), "order/open/web/", "the order is closed")
		m.start()
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultHTML, Times: 100})
		require.Equal(t, before, filesIn(t, first(m.raw(at+"zip"))))
		require.NotZero(t, m.read("cert/" + signed.Data["serial_number"].(string)).Data["revocation_time"])
	})
}

func (m *mount) storageKeys() []string {
	m.t.Helper()
	keys, err := logical.CollectKeys(m.t.Context(), m.storage)
	require.NoError(m.t, err)
	return keys
}

// TestAnOrderIsDownloadedBeforeItIsCollected: downloading hands over no key, and takes nothing from who collects.
func TestAnOrderIsDownloadedBeforeItIsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		id := m.write("orders/web", www).Data["order_id"].(string)
		body, _ := m.raw("orders/web/" + id + "/download/zip")
		require.Equal(t, false, m.read("orders/web/" + id).Data["delivered"])
		collected := m.write("orders/web/"+id+"/collect", nil)
		require.NotEmpty(t, collected.Data["private_key"])
		require.Equal(t, []*x509.Certificate{m.chainOK(collected)}, certificatesIn(t, filesIn(t, body)["certificate.crt"]))
	})
}

// TestACertificateWithoutItsChainOrCSR is one that CERTInext delivered bare, and whose order has got another key since.
func TestACertificateWithoutItsChainOrCSR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		issued := m.write("issue/web", www).Data
		time.Sleep(time.Hour)
		m.pass() // the order is closed
		m.rewrite("cert/"+strings.ReplaceAll(issued["serial_number"].(string), ":", "-"), func(entry map[string]any) { delete(entry, "chain_ref") })
		other := csr(t, newKey(t, elliptic.P256()), "www.example.com")
		m.rewrite("order/closed/web/"+issued["order_id"].(string), func(entry map[string]any) { entry["csr"] = other })
		m.start()

		at := "cert/" + issued["serial_number"].(string) + "/download/"
		for form, want := range map[string]string{
			"ca":  "form: ca is not stored: CERTInext delivered the certificate without its chain",
			"csr": "form: csr is not stored: the mount has no CSR of this certificate's key",
		} {
			resp, err := m.send(call{op: logical.ReadOperation, path: at + form})
			require.NoError(t, err)
			require.EqualError(t, resp.Error(), want)
		}
		leaf := []*x509.Certificate{parseCertificate(t, issued["certificate"].(string))}
		require.Equal(t, leaf, certificatesIn(t, first(m.raw(at+"bundle"))))
		inside := filesIn(t, first(m.raw(at+"zip")))
		require.Len(t, inside, 3)
		require.Equal(t, leaf, certificatesIn(t, inside["certificate.crt"]))
	})
}

// rewrite changes a stored entry.
func (m *mount) rewrite(key string, change func(entry map[string]any)) {
	m.t.Helper()
	e, err := m.storage.Get(m.t.Context(), key)
	require.NoError(m.t, err)
	require.NotNil(m.t, e, "no entry %s", key)
	var entry map[string]any
	require.NoError(m.t, e.DecodeJSON(&entry))
	change(entry)
	e, err = logical.StorageEntryJSON(key, entry)
	require.NoError(m.t, err)
	require.NoError(m.t, m.storage.Put(m.t.Context(), e))
}

// opensslOrSkip returns the path of the program, which is a second opinion on something and no dependency.
func opensslOrSkip(t *testing.T, something string) string {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skipf("openssl is not on the PATH: install it to have %s checked by another implementation", something)
	}
	return openssl
}

// TestOpenSSLReadsThePKCS7 asks another implementation than the one that made it.
func TestOpenSSLReadsThePKCS7(t *testing.T) {
	openssl := opensslOrSkip(t, "the PKCS#7 form")
	m := newMount(t, validated(certinexttest.Live))
	issued := m.write("issue/web", map[string]any{"common_name": "www.example.com", "format": "pkcs7"}).Data
	want := []*x509.Certificate{
		parseCertificate(t, string(first(m.raw("cert/"+issued["serial_number"].(string)+"/raw/pem")))),
	}
	for _, c := range issued["ca_chain"].([]string) {
		want = append(want, parseCertificate(t, c))
	}
	downloaded, _ := m.raw("cert/" + issued["serial_number"].(string) + "/download/pkcs7")
	for form, content := range map[string][]byte{"DER": downloaded, "PEM": []byte(issued["certificate"].(string))} {
		path := filepath.Join(t.TempDir(), "certificate.p7b")
		require.NoError(t, os.WriteFile(path, content, 0o600))
		out, err := exec.CommandContext(t.Context(), openssl, "pkcs7", "-inform", form, "-in", path, "-print_certs").Output()
		require.NoError(t, err, form)
		var shown []byte
		for rest := out; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			shown = append(shown, pem.EncodeToMemory(block)...)
		}
		require.Equal(t, want, certificatesIn(t, shown), form)
	}
}
