// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle_test

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	"github.com/smallstep/pkcs7"
	"software.sslmate.com/src/go-pkcs12"
)

// blocks prints what a PEM text holds.
func blocks(text string) {
	for rest := []byte(text); ; {
		block, after := pem.Decode(rest)
		if block == nil {
			return
		}
		rest = after
		name := ""
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			name = " of " + c.Subject.CommonName
		}
		fmt.Println(block.Type + name)
	}
}

// encoded renders a certificate as it would be for a client.
func encoded(o bundle.Options) *bundle.Encoded {
	if err := o.Normalize(); err != nil {
		panic(err)
	}
	return must(newCertificate("ec").Encode(o))
}

func ExampleCertificate_Encode_pem() {
	e := encoded(bundle.Options{})
	blocks(e.Certificate)
	blocks(e.Key)
	// Output:
	// CERTIFICATE of www.example.com
	// EC PRIVATE KEY
}

func ExampleCertificate_Encode_der() {
	e := encoded(bundle.Options{Format: bundle.DER})
	raw := must(base64.StdEncoding.DecodeString(e.Certificate))
	fmt.Println(must(x509.ParseCertificate(raw)).Subject)
	// Output: CN=www.example.com
}

func ExampleCertificate_Encode_pemBundle() {
	blocks(encoded(bundle.Options{
		Format:      bundle.PEMBundle,
		KeyFormat:   bundle.KeyPKCS8,
		RemoveRoots: true,
	}).Certificate)
	// Output:
	// PRIVATE KEY
	// CERTIFICATE of www.example.com
	// CERTIFICATE of Example Issuing CA
}

func ExampleCertificate_Encode_pkcs7() {
	e := encoded(bundle.Options{Format: bundle.PKCS7})
	for _, c := range must(pkcs7.Parse(bundle.BytesOf(e.Certificate))).Certificates {
		fmt.Println(c.Subject)
	}
	// Unordered output:
	// CN=www.example.com
	// CN=Example Issuing CA
	// CN=Example Root
}

func ExampleCertificate_Encode_pkcs12() {
	o := bundle.Options{
		Format:   bundle.PKCS12,
		Keystore: bundle.Keystore{Password: "changeit", Encoder: "modern2023"},
	}
	raw := must(base64.StdEncoding.DecodeString(encoded(o).Certificate))
	key, leaf, chain, err := pkcs12.DecodeChain(raw, "changeit")
	fmt.Printf("%T, %s, %d above it, %v\n", key, leaf.Subject, len(chain), err)
	// Output: *ecdsa.PrivateKey, CN=www.example.com, 2 above it, <nil>
}

func ExampleCertificate_Encode_jks() {
	o := bundle.Options{
		Format:   bundle.JKS,
		Keystore: bundle.Keystore{Password: "changeit", Alias: "My-App"},
	}
	raw := must(base64.StdEncoding.DecodeString(encoded(o).Certificate))
	store := jks.New()
	fmt.Println(store.Load(bytes.NewReader(raw), []byte("changeit")), store.Aliases())
	// Output: <nil> [my-app]
}

func ExampleFileOf() {
	f := must(bundle.FileOf("zip"))
	body := must(f.Encode(newCertificate("ec")))
	fmt.Println(f.Name, f.MediaType)
	for _, in := range must(zip.NewReader(bytes.NewReader(body), int64(len(body)))).File {
		fmt.Println(in.Name)
	}
	// Output:
	// certificate.zip application/zip
	// certificate.crt
	// ca_chain.crt
	// bundle.crt
	// certificate.p7b
	// request.csr
}
