// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/hashicorp/vault/sdk/framework"
)

// formatFields select the form in which a certificate is returned.
func formatFields() map[string]*framework.FieldSchema {
	return merge(keystoreFields(), map[string]*framework.FieldSchema{
		"format": {
			Type: framework.TypeString, Default: string(bundle.PEM),
			AllowedValues: allowed(bundle.Formats()),
			Description: "Format of the answer: pem; der (in base64); pem_bundle, with key, " +
				"certificate and chain together in certificate; pkcs7, with certificate and " +
				"chain in certificate as PEM-encoded PKCS#7; pkcs12_bundle or, for old software, " +
				"jks_bundle, with the contents of pem_bundle in certificate as a base64-encoded " +
				"PKCS#12 archive or Java keystore, and without private_key and ca_chain beside " +
				"it.",
		},
		"remove_roots_from_chain": {
			Type:        framework.TypeBool,
			Description: "Omit self-signed certificates from ca_chain and from bundles.",
		},
	})
}

func keyFormatField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"private_key_format": {
			Type: framework.TypeString, Default: string(bundle.KeyDER),
			AllowedValues: []any{string(bundle.KeyDER), string(bundle.KeyPKCS8)},
			Description: "der for PKCS#1 or SEC 1, pkcs8 for PKCS#8. Whether the key is in PEM " +
				"or base64 follows from format.",
		},
	}
}

func keystoreFields() map[string]*framework.FieldSchema {
	password := func(of, format string) *framework.FieldSchema {
		return &framework.FieldSchema{
			Type: framework.TypeString, Default: bundle.DefaultPassword,
			DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
			Description: "Password of the " + of + ", with format=" + format +
				". Use one of high entropy, or keep the default and protect the file. A line " +
				"break at its end is removed: it is that of the file it was read from.",
		}
	}
	return map[string]*framework.FieldSchema{
		"pkcs12_password": password("PKCS#12 archive", string(bundle.PKCS12)),
		"pkcs12_encoder": {
			Type: framework.TypeString, Default: bundle.DefaultEncoder,
			AllowedValues: []any{bundle.DefaultEncoder, bundle.VaultEncoder},
			Description: "Algorithms of the PKCS#12 archive, with format=" + string(bundle.PKCS12) +
				": modern2023, which OpenSSL 1.1.1, Java 12 and Windows Server 2019 read, or " +
				"modern2026, whose PBMAC1 needs OpenSSL 3.4 or Java 26: before those, the " +
				"password seems to be wrong.",
		},
		"jks_password": password("Java keystore, and of the key in it", string(bundle.JKS)),
		"jks_private_key_alias": {
			Type: framework.TypeString, Default: bundle.DefaultAlias,
			Description: "Alias of the key in the Java keystore, with format=" +
				string(bundle.JKS) +
				", in lower case, as Java stores it. In a keystore without a key, the entries " +
				"are named 1, 2, 3 and so on.",
		},
	}
}

// certificateFields are the answer of issue and sign.
func certificateFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"certificate": {Type: framework.TypeString, Description: "Certificate."},
		"issuing_ca": {
			Type:        framework.TypeString,
			Description: "Certificate of the issuing CA.",
		},
		"ca_chain": {
			Type:        framework.TypeStringSlice,
			Description: "Chain, the issuing CA first.",
		},
		"authority_key_id": authorityKeyID(),
		"serial_number": {
			Type:        framework.TypeString,
			Description: "Serial number, colon-separated hexadecimal.",
		},
		"expiration": {
			Type:        framework.TypeInt64,
			Description: "End of the certificate's validity, in seconds since 1970.",
		},
		"renew_after": renewAfter(),
		"order_id": {
			Type:        framework.TypeString,
			Description: "Id of the order in this mount.",
		},
		"ca_order_id": {Type: framework.TypeString, Description: "CERTInext's order number."},
		"reused": {
			Type: framework.TypeBool,
			Description: "Whether an earlier answer already returned this certificate. If so, " +
				"nothing was bought for this request.",
		},
	}
}

// renewAfter is the field of an answer that says when its certificate is to be renewed.
func renewAfter() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeInt64,
		Description: "When the certificate is to be renewed, in seconds since 1970: when about " +
			"two thirds of its life are over, spread over the certificates of a fleet.",
	}
}

// authorityKeyID is the field of an answer that says which key has signed its certificate.
func authorityKeyID() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeString,
		Description: "Authority key identifier of the certificate, colon-separated hexadecimal; " +
			"empty when it has none.",
	}
}

// formField selects the form of a download.
func formField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"form": {
			Type: framework.TypeString, Required: true, AllowedValues: allowed(bundle.FileForms()),
			Description: "crt, der, ca, bundle, pkcs7, csr or zip.",
		},
	}
}

// downloadFields select how a file is returned.
func downloadFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"encoding": {
			Type: framework.TypeString, Default: "raw", AllowedValues: []any{"raw", "base64"},
			Query: true,
			Description: "raw returns the file itself; base64 returns JSON with the file in " +
				"content.",
		},
		"remove_roots_from_chain": {
			Type: framework.TypeBool, Query: true,
			Description: "Omit self-signed certificates from ca, bundle, pkcs7 and zip.",
		},
	}
}

// fileFields are the answer of a download with encoding=base64.
func fileFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"content": {
			Type:        framework.TypeString,
			Description: "The file in base64. With encoding=raw, the answer is the file itself.",
		},
		"content_type": {Type: framework.TypeString, Description: "Media type of the file."},
		"file_name":    {Type: framework.TypeString, Description: "Suggested name for the file."},
	}
}

// allowed converts values to the type of [framework.FieldSchema.AllowedValues].
func allowed[S ~string](values []S) []any {
	out := make([]any, 0, len(values))
	for _, v := range values {
		out = append(out, string(v))
	}
	return out
}

// decodeFormat reads the form in which the caller wants its certificate. It refuses everything that
// would otherwise fail when the certificate is rendered, after it has been paid for.
func decodeFormat(d *framework.FieldData) (bundle.Options, error) {
	var o bundle.Options
	if v, ok := d.GetOk("format"); ok {
		o.Format = bundle.Format(v.(string))
	}
	if v, ok := d.GetOk("private_key_format"); ok {
		o.KeyFormat = bundle.KeyFormat(v.(string))
	}
	if v, ok := d.GetOk("remove_roots_from_chain"); ok {
		o.RemoveRoots = v.(bool)
	}
	decodeKeystore(d, &o)
	if err := o.Normalize(); err != nil {
		return o, badOption(err)
	}
	return o, unusedKeystoreField(d, o.Format)
}

// keystoreDefaults lists the fields that only one format uses, with their defaults here and in
// Vault's PKI engine.
var keystoreDefaults = []struct {
	field             string
	format            bundle.Format
	fallback, ofVault string
}{
	{"pkcs12_password", bundle.PKCS12, bundle.DefaultPassword, bundle.DefaultPassword},
	{"pkcs12_encoder", bundle.PKCS12, bundle.DefaultEncoder, bundle.VaultEncoder},
	{"jks_password", bundle.JKS, bundle.DefaultPassword, bundle.DefaultPassword},
	{"jks_private_key_alias", bundle.JKS, bundle.DefaultAlias, bundle.DefaultAlias},
}

// decodeKeystore reads the fields of the requested keystore, if the format is one.
func decodeKeystore(d *framework.FieldData, o *bundle.Options) {
	k := &o.Keystore
	use := map[string]*string{
		"pkcs12_password": &k.Password, "pkcs12_encoder": &k.Encoder,
		"jks_password": &k.Password, "jks_private_key_alias": &k.Alias,
	}
	for _, f := range keystoreDefaults {
		if f.format == o.Format {
			*use[f.field] = fieldOr(d, f.field, f.fallback)
		}
	}
}

// unusedKeystoreField refuses fields that belong to another format, unless they are empty or have
// their defaults: some clients send every field.
func unusedKeystoreField(d *framework.FieldData, format bundle.Format) error {
	for _, f := range keystoreDefaults {
		v := fieldOr(d, f.field, f.fallback)
		isDefault := v == "" || v == f.fallback || v == f.ofVault
		if f.format != format && !isDefault {
			return &backend.FieldError{Field: f.field, Problem: "is for format=" + string(f.format)}
		}
	}
	return nil
}

// fieldOr returns a text field, or fallback when it was omitted or is null.
func fieldOr(d *framework.FieldData, field, fallback string) string {
	if d.Raw[field] == nil {
		return fallback
	}
	return d.Get(field).(string)
}
