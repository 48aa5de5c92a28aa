// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// form is how a caller wants its certificate and key.
type form struct {
	format      string // pem, der, pem_bundle, pkcs7, pkcs12_bundle, jks_bundle
	keyFormat   string // der, pkcs8
	removeRoots bool
	keystore    keystore
}

func formatFields() map[string]*framework.FieldSchema {
	return merge(keystoreFields(), map[string]*framework.FieldSchema{
		"format": {
			Type: framework.TypeString, Default: "pem", AllowedValues: []any{"pem", "der", "pem_bundle", "pkcs7", formatPKCS12, formatJKS},
			Description: "pem; der (base64); pem_bundle: key, certificate and chain together in certificate; pkcs7: certificate and chain as PKCS#7, in PEM, in certificate; pkcs12_bundle and, for old software, jks_bundle: the same as pem_bundle as a PKCS#12 archive or a Java keystore, in base64, in certificate, without private_key and ca_chain beside it.",
		},
		"remove_roots_from_chain": {Type: framework.TypeBool, Description: "Leave self-signed certificates out of ca_chain and of bundles."},
	})
}

func keyFormatField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"private_key_format": {
			Type: framework.TypeString, Default: "der", AllowedValues: []any{"der", "pkcs8"},
			Description: "der for PKCS#1 or SEC 1, pkcs8 for PKCS#8; the encoding, PEM or base64, follows format.",
		},
	}
}

// certificateFields are the answer of issue and sign.
func certificateFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"certificate":   {Type: framework.TypeString, Description: "Certificate."},
		"issuing_ca":    {Type: framework.TypeString, Description: "Certificate of the issuing CA."},
		"ca_chain":      {Type: framework.TypeStringSlice, Description: "Chain, the issuing CA first."},
		"serial_number": {Type: framework.TypeString, Description: "Serial number, colon-separated hexadecimal."},
		"expiration":    {Type: framework.TypeInt64, Description: "End of the certificate, in seconds since 1970."},
		"order_id":      {Type: framework.TypeString, Description: "Id of the order in this mount."},
		"ca_order_id":   {Type: framework.TypeString, Description: "CERTInext's order number."},
		"reused":        {Type: framework.TypeBool, Description: "Whether an earlier answer held this certificate, too: nothing was bought for this one then."},
	}
}

func decodeForm(d *framework.FieldData) (form, error) {
	f := form{format: "pem", keyFormat: "der"}
	if v, ok := d.GetOk("format"); ok && v.(string) != "" {
		f.format = v.(string)
	}
	if v, ok := d.Raw["private_key_format"].(string); ok && v != "" {
		f.keyFormat = v
	}
	if v, ok := d.GetOk("remove_roots_from_chain"); ok {
		f.removeRoots = v.(bool)
	}
	switch f.format {
	case "pem", "der", "pem_bundle", "pkcs7", formatPKCS12, formatJKS:
	default:
		return f, &backend.FieldError{Field: "format", Problem: fmt.Sprintf("%q is not pem, der, pem_bundle, pkcs7, pkcs12_bundle or jks_bundle", f.format)}
	}
	if f.keyFormat != "der" && f.keyFormat != "pkcs8" {
		return f, &backend.FieldError{Field: "private_key_format", Problem: fmt.Sprintf("%q is not der or pkcs8", f.keyFormat)}
	}
	var err error
	f.keystore, err = decodeKeystore(d, f.format)
	return f, err
}

// certificateResponse answers with a certificate in the caller's form, tied to its lease if it has one.
func (b *secretsBackend) certificateResponse(issued *backend.Issued, f form) (*logical.Response, error) {
	data, err := encodeIssued(issued, f)
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: data}
	if l := issued.Lease; l != nil {
		resp = b.Secret(certificateSecretType).Response(data, map[string]any{
			"serial": strings.ReplaceAll(issued.Certificate.Serial, ":", "-"), "lease": l.ID, "answered_at": l.AnsweredAt.UTC().Format(time.RFC3339),
		})
		resp.Secret.TTL, resp.Secret.MaxTTL = l.TTL, l.MaxTTL
	}
	for _, w := range issued.Warnings {
		resp.AddWarning(w)
	}
	return resp, nil
}

func encodeIssued(issued *backend.Issued, f form) (map[string]any, error) {
	c := issued.Certificate
	chain := append([]string{}, c.Chain...)
	if f.removeRoots {
		chain = withoutRoots(chain)
	}
	issuer := ""
	if len(c.Chain) > 0 {
		issuer = c.Chain[0]
	}
	data := map[string]any{
		"certificate":   c.PEM,
		"issuing_ca":    issuer,
		"ca_chain":      chain,
		"serial_number": c.Serial,
		"expiration":    c.NotAfter.Unix(),
		"order_id":      c.OrderID,
		"ca_order_id":   c.CAOrderID,
		"reused":        issued.Reused,
	}
	if issued.PrivateKey != "" {
		key, err := encodeKey(issued.PrivateKey, f.keyFormat)
		if err != nil {
			return nil, err
		}
		data["private_key"], data["private_key_type"] = key, issued.PrivateKeyType
	}
	switch f.format {
	case "der":
		for _, field := range []string{"certificate", "issuing_ca", "private_key"} {
			if v, ok := data[field].(string); ok {
				data[field] = base64DER(v)
			}
		}
		for i, c := range chain {
			chain[i] = base64DER(c)
		}
	case "pem_bundle":
		parts := []string{c.PEM}
		if key, ok := data["private_key"].(string); ok {
			parts = append([]string{key}, parts...)
		}
		data["certificate"] = strings.Join(append(parts, chain...), "\n")
	case "pkcs7":
		body, err := encodePKCS7(append([]string{c.PEM}, chain...)...)
		if err != nil {
			return nil, err
		}
		data["certificate"] = strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: body})))
	case formatPKCS12, formatJKS:
		bundle, err := encodeKeystore(f, issued.PrivateKey, append([]string{c.PEM}, chain...))
		if err != nil {
			return nil, err
		}
		data["certificate"] = bundle
		for _, field := range []string{"private_key", "private_key_type", "ca_chain"} {
			delete(data, field)
		}
	}
	return data, nil
}

// withoutRoots drops self-signed certificates.
func withoutRoots(chain []string) []string {
	out := []string{}
	for _, c := range chain {
		block, _ := pem.Decode([]byte(c))
		if block == nil {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.CheckSignatureFrom(cert) == nil {
			continue
		}
		out = append(out, c)
	}
	return out
}

func base64DER(pemText string) string {
	return base64.StdEncoding.EncodeToString(der(pemText))
}

// encodeKey turns a PKCS#8 PEM key into PEM of the wanted format. As in Vault's PKI engine, "der" is the key's own
// format, PKCS#1 or SEC 1.
func encodeKey(pkcs8, format string) (string, error) {
	if format == "pkcs8" {
		return strings.TrimSpace(pkcs8), nil
	}
	block, _ := pem.Decode([]byte(pkcs8))
	if block == nil {
		return "", errors.New("the stored private key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("the stored private key: %w", err)
	}
	out := &pem.Block{}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		out.Type = "EC PRIVATE KEY"
		if out.Bytes, err = x509.MarshalECPrivateKey(k); err != nil {
			return "", fmt.Errorf("encoding the private key: %w", err)
		}
	case *rsa.PrivateKey:
		out.Type, out.Bytes = "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)
	default:
		return "", fmt.Errorf("the stored private key is a %T", key)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(out))), nil
}
