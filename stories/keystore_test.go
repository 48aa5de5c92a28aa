// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/stretchr/testify/require"
	"software.sslmate.com/src/go-pkcs12"
)

// A bundle is what a keystore holds.
type bundle struct {
	key     crypto.Signer // nil in a trust store
	certs   []*x509.Certificate
	aliases []string // of a Java keystore
}

// archive reads the keystore of an answer, and holds the answer against that of Vault's PKI engine.
func archive(t *testing.T, resp *logical.Response) []byte {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(resp.Data["certificate"].(string))
	require.NoError(t, err)
	for _, field := range []string{"private_key", "private_key_type", "ca_chain"} {
		require.NotContains(t, resp.Data, field, "the key must leave in the keystore only")
	}
	require.True(t, parseCertificate(t, resp.Data["issuing_ca"].(string)).IsCA)
	require.NotEmpty(t, resp.Data["serial_number"])
	require.NotEmpty(t, resp.Data["order_id"])
	require.IsType(t, int64(0), resp.Data["expiration"])
	return raw
}

func openPKCS12(t *testing.T, raw []byte, password string) bundle {
	t.Helper()
	if trusted, err := pkcs12.DecodeTrustStore(raw, password); err == nil {
		return bundle{certs: trusted}
	}
	key, leaf, chain, err := pkcs12.DecodeChain(raw, password)
	require.NoError(t, err)
	return bundle{key: key.(crypto.Signer), certs: append([]*x509.Certificate{leaf}, chain...)}
}

func openJKS(t *testing.T, raw []byte, password string) bundle {
	t.Helper()
	store := jks.New(jks.WithOrderedAliases(), jks.WithCaseExactAliases())
	require.NoError(t, store.Load(bytes.NewReader(raw), []byte(password)))
	b := bundle{aliases: store.Aliases()}
	take := func(c jks.Certificate) {
		require.Equal(t, "X.509", c.Type)
		parsed, err := x509.ParseCertificate(c.Content)
		require.NoError(t, err)
		b.certs = append(b.certs, parsed)
	}
	for _, alias := range b.aliases {
		if store.IsTrustedCertificateEntry(alias) {
			entry, err := store.GetTrustedCertificateEntry(alias)
			require.NoError(t, err)
			take(entry.Certificate)
			continue
		}
		entry, err := store.GetPrivateKeyEntry(alias, []byte(password))
		require.NoError(t, err)
		key, err := x509.ParsePKCS8PrivateKey(entry.PrivateKey)
		require.NoError(t, err)
		b.key = key.(crypto.Signer)
		for _, c := range entry.CertificateChain {
			take(c)
		}
	}
	return b
}

// sound requires that a bundle is a chain of n certificates from the one for www.example.com upwards, with its key or without.
func (b *bundle) sound(t *testing.T, n int, withKey bool) {
	t.Helper()
	require.Len(t, b.certs, n)
	require.Equal(t, []string{"www.example.com"}, b.certs[0].DNSNames)
	for i, c := range b.certs[1:] {
		require.NoError(t, b.certs[i].CheckSignatureFrom(c), "certificate %d is not the issuer of %d", i+1, i)
	}
	require.Equal(t, withKey, b.key != nil)
	if withKey {
		require.Equal(t, b.certs[0].PublicKey, b.key.Public(), "the key is another one's")
	}
}

func TestKeystores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/web", map[string]any{
			"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "allow_reissue": true,
		})
		m.write("roles/rsa", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_any_name": true, "key_type": "rsa",
		})
		www := map[string]any{"common_name": "www.example.com"}
		request := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com", "www.example.com")}
		const p12, java = "pkcs12_bundle", "jks_bundle"
		for name, c := range map[string]struct {
			path     func() string
			with     map[string]any
			form     map[string]any
			password string
			certs    int
			aliases  []string
			trust    bool
			rsa      bool
		}{
			"a PKCS#12 archive has Vault's default password": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12}, password: "changeit", certs: 3,
			},
			"a null password is the default": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_password": nil}, password: "changeit", certs: 3,
			},
			"an empty password is one": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_password": ""}, password: "", certs: 3,
			},
			"an empty encoder is the default": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_encoder": ""}, password: "changeit", certs: 3,
			},
			"a password may have umlauts": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_password": "Schlüssel-€"}, password: "Schlüssel-€", certs: 3,
			},
			"a password from a file has the file's line break": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_password": "s3cret\n"}, password: "s3cret", certs: 3,
			},
			"a password from a file of Windows": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_password": " s3 cret \r\n"}, password: " s3 cret ", certs: 3,
			},
			"a Java keystore's password from a file": {
				path: at("issue/web"), with: www, form: map[string]any{"format": java, "jks_password": "s3cret\n"}, password: "s3cret", certs: 3, aliases: []string{"1"},
			},
			"Vault's encoder": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "pkcs12_encoder": "modern2026"}, password: "changeit", certs: 3,
			},
			"an RSA key in an archive for older software": {
				path: at("issue/rsa"), with: www, form: map[string]any{"format": p12, "pkcs12_encoder": "modern2023", "pkcs12_password": "s3cret"}, password: "s3cret", certs: 3, rsa: true,
			},
			"an archive without the root": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "remove_roots_from_chain": true}, password: "changeit", certs: 2,
			},
			"the key's own format does not matter to an archive, and neither do the defaults of the other one": {
				path: at("issue/web"), with: www, form: map[string]any{"format": p12, "private_key_format": "pkcs8", "jks_password": "changeit", "jks_private_key_alias": "1"}, password: "changeit", certs: 3,
			},
			"the path that names the issuer": {
				path: at("issuer/default/issue/web"), with: www, form: map[string]any{"format": p12}, password: "changeit", certs: 3,
			},
			"a signed certificate is a trust store": {
				path: at("sign/web"), with: request, form: map[string]any{"format": p12}, password: "changeit", certs: 3, trust: true,
			},
			"a signed certificate without the root": {
				path: at("sign/web"), with: request, form: map[string]any{"format": p12, "pkcs12_encoder": "modern2023", "remove_roots_from_chain": true}, password: "changeit", certs: 2, trust: true,
			},
			"a Java keystore has Vault's default password and alias": {
				path: at("issue/web"), with: www, form: map[string]any{"format": java}, password: "changeit", certs: 3, aliases: []string{"1"},
			},
			"a Java keystore of an RSA key, with a password and without the root": {
				path: at("issue/rsa"), with: www, form: map[string]any{"format": java, "jks_password": "s3cret", "remove_roots_from_chain": true}, password: "s3cret", certs: 2, aliases: []string{"1"}, rsa: true,
			},
			"an alias is in lower case, where Java looks for it": {
				path: at("issue/web"), with: www, form: map[string]any{"format": java, "jks_private_key_alias": "My-App"}, password: "changeit", certs: 3, aliases: []string{"my-app"},
			},
			"an empty alias is the default": {
				path: at("issue/web"), with: www, form: map[string]any{"format": java, "jks_private_key_alias": ""}, password: "changeit", certs: 3, aliases: []string{"1"},
			},
			"a signed certificate is a Java trust store, for which the alias does not matter": {
				path: at("sign/web"), with: request, form: map[string]any{"format": java, "jks_private_key_alias": "app"}, password: "changeit", certs: 3, aliases: []string{"1", "2", "3"}, trust: true,
			},
			"a collected order": {
				path: func() string {
					return "orders/web/" + m.write("orders/web", www).Data["order_id"].(string) + "/collect"
				},
				form: map[string]any{"format": p12, "pkcs12_password": "s3cret"}, password: "s3cret", certs: 3,
			},
			"a collected order that was made by a CSR": {
				path: func() string {
					return "orders/web/" + m.write("orders/web", request).Data["order_id"].(string) + "/collect"
				},
				form: map[string]any{"format": java}, password: "changeit", certs: 3, aliases: []string{"1", "2", "3"}, trust: true,
			},
			"a renewed certificate": {
				path: func() string { return "renew/web/" + m.write("issue/web", www).Data["serial_number"].(string) },
				form: map[string]any{"format": java}, password: "changeit", certs: 3, aliases: []string{"1"},
			},
			"a reissued certificate": {
				path: func() string {
					order := m.reissue(m.write("issue/web", www), nil)
					return "orders/web/" + order.Data["order_id"].(string) + "/collect"
				},
				form: map[string]any{"format": p12}, password: "changeit", certs: 3,
			},
		} {
			t.Log(name)
			data := maps.Clone(c.form)
			maps.Copy(data, c.with)
			raw := archive(t, m.write(c.path(), data))
			open := openPKCS12
			if data["format"] == java {
				open = openJKS
			}
			b := open(t, raw, c.password)
			b.sound(t, c.certs, !c.trust)
			require.Equal(t, c.aliases, b.aliases)
			switch b.key.(type) {
			case *rsa.PrivateKey:
				require.True(t, c.rsa)
			case *ecdsa.PrivateKey:
				require.False(t, c.rsa)
			}
			time.Sleep(time.Hour) // beyond the grace: the next case gets an order of its own
		}
	})
}

func at(path string) func() string { return func() string { return path } }

// TestTheEncodersDiffer: which algorithm guards the archive's integrity.
func TestTheEncodersDiffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		pbmac1 := []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0e} // 1.2.840.113549.1.5.14
		for encoder, want := range map[string]bool{"": false, "modern2026": true, "modern2023": false} {
			raw := archive(t, m.write("issue/web", map[string]any{"common_name": "www.example.com", "format": "pkcs12_bundle", "pkcs12_encoder": encoder}))
			require.Equal(t, want, bytes.Contains(raw, pbmac1), "encoder %q", encoder)
		}
	})
}

func TestKeystoresAreRefusedBeforeAnythingIsOrdered(t *testing.T) {
	ca := validated(certinexttest.Live)
	m := newMount(t, ca)
	request := csr(t, newKey(t, elliptic.P256()), "www.example.com", "www.example.com")
	ca.ResetCalls()
	m.storage.reset()
	for name, c := range map[string]struct {
		form  map[string]any
		field string
	}{
		"a password without the format":              {map[string]any{"pkcs12_password": "hush-7c1d"}, "pkcs12_password: is for format=pkcs12_bundle"},
		"an alias without the format":                {map[string]any{"format": "pem_bundle", "jks_private_key_alias": "app"}, "jks_private_key_alias: is for format=jks_bundle"},
		"a Java keystore with the other's password":  {map[string]any{"format": "jks_bundle", "pkcs12_password": "hush-7c1d"}, "pkcs12_password: is for format=pkcs12_bundle"},
		"a PKCS#12 archive with the other's":         {map[string]any{"format": "pkcs12_bundle", "jks_password": "hush-7c1d"}, "jks_password: is for format=jks_bundle"},
		"a PKCS#12 archive with an alias":            {map[string]any{"format": "pkcs12_bundle", "jks_private_key_alias": "app"}, "jks_private_key_alias: is for format=jks_bundle"},
		"an encoder that does not exist":             {map[string]any{"format": "pkcs12_bundle", "pkcs12_encoder": "legacy"}, `pkcs12_encoder: must be modern2023 or modern2026`},
		"a password that PKCS#12 cannot write":       {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush-7c1d\U0001F511"}, "pkcs12_password: may contain"},
		"a password that ends early":                 {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush-7c1d\x00"}, "pkcs12_password: may not contain"},
		"a password of two lines":                    {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush-7c1d\nhush\n"}, "pkcs12_password: may not contain"},
		"a password with an empty line after it":     {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush-7c1d\n\n"}, "pkcs12_password: may not contain"},
		"a password with a tab":                      {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush\t7c1d"}, "pkcs12_password: may not contain"},
		"a Java password of two lines":               {map[string]any{"format": "jks_bundle", "jks_password": "hush-7c1d\nhush\n"}, "jks_password: may contain"},
		"the other encoder without the format":       {map[string]any{"format": "jks_bundle", "pkcs12_encoder": "legacy"}, "pkcs12_encoder: is for format=pkcs12_bundle"},
		"a password that is no UTF-8":                {map[string]any{"format": "pkcs12_bundle", "pkcs12_password": "hush-7c1d\xff"}, "pkcs12_password: may contain"},
		"a password that Java would read otherwise":  {map[string]any{"format": "jks_bundle", "jks_password": "hush-7c1d-ü"}, "jks_password: may contain"},
		"an alias that a Java keystore cannot write": {map[string]any{"format": "jks_bundle", "jks_private_key_alias": "\U0001F511"}, "jks_private_key_alias: may contain"},
		"an alias that is too long for it":           {map[string]any{"format": "jks_bundle", "jks_private_key_alias": strings.Repeat("a", 1<<16)}, "jks_private_key_alias: is longer"},
		"a short name of the format":                 {map[string]any{"format": "pkcs12"}, "format:"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, with := range map[string]map[string]any{
				"issue/web": {"common_name": "www.example.com"}, "sign/web": {"csr": request}, "renew/web/01-02": {}, "orders/web/x/collect": {},
				"issuer/default/issue/web": {"common_name": "www.example.com", "async": true},
			} {
				data := maps.Clone(c.form)
				maps.Copy(data, with)
				text := m.refused(path, data)
				require.Contains(t, text, c.field, path)
				require.NotContains(t, text, "hush", path)
			}
		})
	}
	require.Empty(t, ca.Calls(), "the CA was called")
	require.Empty(t, m.storage.writes(), "something was stored")
}

// TestAPasswordIsNoPartOfAnOrder: the same request in another form finds its order, and nothing remembers the password.
func TestAPasswordIsNoPartOfAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 2 * time.Minute
		m := newMount(t, ca)
		form := func(password string) map[string]any {
			return map[string]any{"common_name": "www.example.com", "request_id": "deploy-17", "format": "pkcs12_bundle", "pkcs12_password": password}
		}
		texts := m.refused("issue/web", form("hush-first-31c7"))
		texts += m.refused("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy-17", "format": "jks_bundle", "jks_password": "hush-java-90be"})
		time.Sleep(5 * time.Minute)
		issued := m.write("issue/web", form("hush-second-e552"))
		b := openPKCS12(t, archive(t, issued), "hush-second-e552")
		b.sound(t, 3, true)
		require.Len(t, ca.Orders(), 1, "a password bought a certificate")

		again := m.write("issue/web", form("hush-third-08aa"))
		other := openPKCS12(t, archive(t, again), "hush-third-08aa")
		require.Equal(t, issued.Data["serial_number"], again.Data["serial_number"], "a lost answer is given again, also in another form")
		require.Equal(t, b.key, other.key)
		require.Len(t, ca.Orders(), 1)

		texts += fmt.Sprint(issued.Secret, again.Secret, issued.Warnings) + m.log.String()
		for k, v := range m.storage.dump(t) {
			texts += k + string(v)
		}
		require.NotContains(t, texts, "hush")
		require.Contains(t, texts, "www.example.com", "the search works")
	})
}

// TestALeaseDoesNotKnowTheForm: the end of a keystore's lease revokes its certificate.
func TestALeaseDoesNotKnowTheForm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		pemLease := m.write("issue/web", map[string]any{"common_name": "a.example.com"}).Secret
		for i, form := range []string{"pkcs12_bundle", "jks_bundle"} {
			issued := m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("b%d.example.com", i), "format": form})
			require.Equal(t, pemLease.TTL.Round(time.Minute), issued.Secret.TTL.Round(time.Minute))
			require.Len(t, issued.Secret.InternalData, len(pemLease.InternalData))
			m.endLease(issued)
			require.Equal(t, "revoked", m.ca.Orders()[i+1].Status)
		}
		require.Equal(t, "issued", m.ca.Orders()[0].Status)
	})
}

// TestPasswordsAreSensitive: user interfaces hide them.
func TestPasswordsAreSensitive(t *testing.T) {
	doc := openAPI(t)
	seen := 0
	for name, schema := range doc.Components.Schemas {
		for _, field := range []string{"pkcs12_password", "jks_password"} {
			if s := schema.Properties[field]; s != nil {
				seen++
				require.True(t, s.DisplayAttrs != nil && s.DisplayAttrs.Sensitive, "%s.%s", name, field)
			}
		}
	}
	require.Equal(t, 2*6, seen, "issue, sign, both with an issuer, renew and collect")
}

// beforePBMAC1 are the versions of OpenSSL that do not know how Vault's encoder guards an archive.
var beforePBMAC1 = regexp.MustCompile(`^OpenSSL (0|1|2|3\.[0-3])\.`)

// TestOtherProgramsReadTheKeystores asks other implementations than those that made them.
func TestOtherProgramsReadTheKeystores(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	dir := t.TempDir()
	made := 0
	keystore := func(t *testing.T, path string, data map[string]any) string {
		t.Helper()
		made++
		file := filepath.Join(dir, fmt.Sprintf("%d.keystore", made))
		require.NoError(t, os.WriteFile(file, archive(t, m.write(path, data)), 0o600))
		return file
	}
	run := func(t *testing.T, program, password string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "KEYSTORE_PASSWORD="+password, "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	request := csr(t, newKey(t, elliptic.P256()), "www.example.com", "www.example.com")

	t.Run("OpenSSL reads an archive", func(t *testing.T) {
		openssl := opensslOrSkip(t, "PKCS#12 archives")
		for _, password := range []string{"changeit", "Schlüssel-€", ""} {
			file := keystore(t, "issue/web", map[string]any{"common_name": "www.example.com", "format": "pkcs12_bundle", "pkcs12_password": password})
			var b bundle
			for rest := []byte(run(t, openssl, password, "pkcs12", "-in", file, "-passin", "env:KEYSTORE_PASSWORD", "-nodes")); ; {
				var block *pem.Block
				if block, rest = pem.Decode(rest); block == nil {
					break
				}
				if block.Type == "CERTIFICATE" {
					c, err := x509.ParseCertificate(block.Bytes)
					require.NoError(t, err)
					b.certs = append(b.certs, c)
					continue
				}
				key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
				require.NoError(t, err)
				b.key = key.(crypto.Signer)
			}
			b.sound(t, 3, true)
		}
	})
	t.Run("OpenSSL reads the password from the file that Vault read it from", func(t *testing.T) {
		openssl := opensslOrSkip(t, "PKCS#12 archives")
		password := filepath.Join(dir, "keystore.pass")
		require.NoError(t, os.WriteFile(password, []byte("s3cret\n"), 0o600))
		file := keystore(t, "issue/web", map[string]any{"common_name": "www.example.com", "format": "pkcs12_bundle", "pkcs12_password": "s3cret\n"})
		require.Contains(t, run(t, openssl, "", "pkcs12", "-in", file, "-passin", "file:"+password, "-nodes"), "PRIVATE KEY")
	})
	t.Run("OpenSSL reads an archive of Vault's encoder", func(t *testing.T) {
		openssl := opensslOrSkip(t, "PKCS#12 archives")
		if v := run(t, openssl, "", "version"); beforePBMAC1.MatchString(v) {
			t.Skipf("PBMAC1 needs OpenSSL 3.4, and this is %s", v)
		}
		file := keystore(t, "issue/web", map[string]any{"common_name": "www.example.com", "format": "pkcs12_bundle", "pkcs12_encoder": "modern2026"})
		require.Contains(t, run(t, openssl, "changeit", "pkcs12", "-in", file, "-passin", "env:KEYSTORE_PASSWORD", "-nodes"), "PRIVATE KEY")
	})
	t.Run("Java reads a keystore", func(t *testing.T) {
		keytool, err := exec.LookPath("keytool")
		if err != nil {
			t.Skip("keytool is not on the PATH: install a JDK to have Java keystores checked by Java")
		}
		list := func(file, password string, more ...string) string {
			args := append([]string{"-J-Duser.language=en", "-list", "-v", "-keystore", file, "-storepass:env", "KEYSTORE_PASSWORD"}, more...)
			return run(t, keytool, password, args...)
		}
		file := keystore(t, "issue/web", map[string]any{"common_name": "www.example.com", "format": "jks_bundle", "jks_password": "hush hush!", "jks_private_key_alias": "My-App"})
		out := list(file, "hush hush!", "-alias", "My-App")
		require.Contains(t, out, "Entry type: PrivateKeyEntry")
		require.Contains(t, out, "Certificate chain length: 3")
		// Converting takes the key out, and so needs its password.
		out = run(t, keytool, "hush hush!", "-importkeystore", "-noprompt", "-srckeystore", file, "-srcstorepass:env", "KEYSTORE_PASSWORD",
			"-destkeystore", filepath.Join(dir, "converted.p12"), "-deststoretype", "PKCS12", "-deststorepass:env", "KEYSTORE_PASSWORD", "-J-Duser.language=en")
		require.Contains(t, out, "1 entries successfully imported")

		file = keystore(t, "sign/web", map[string]any{"csr": request, "format": "jks_bundle"})
		require.Contains(t, list(file, "changeit"), "contains 3 entries")
		require.Contains(t, list(file, "changeit", "-alias", "1"), "Entry type: trustedCertEntry")

		file = keystore(t, "sign/web", map[string]any{"csr": request, "format": "pkcs12_bundle"})
		require.Contains(t, list(file, "changeit"), "contains 3 entries")
	})
}
