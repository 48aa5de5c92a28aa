// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/smallstep/pkcs7"
)

// A file is a form in which an order's certificate can be taken away.
type file struct {
	name   string // what it is called in the archive
	kind   string // media type
	encode func(*backend.Download) ([]byte, error)
}

const (
	pemChain = "application/pem-certificate-chain"
	pemText  = "application/x-pem-file"
	derCert  = "application/pkix-cert"
)

// files are the forms that hold one thing each, by their names in paths. None of them ever holds a key.
var files = map[string]file{
	"crt":    {"certificate.crt", pemChain, func(d *backend.Download) ([]byte, error) { return lines(d.Certificate.PEM), nil }},
	"der":    {"certificate.cer", derCert, func(d *backend.Download) ([]byte, error) { return der(d.Certificate.PEM), nil }},
	"ca":     {"ca_chain.crt", pemChain, encodeChain},
	"bundle": {"bundle.crt", pemChain, func(d *backend.Download) ([]byte, error) { return lines(everyCertificate(d)...), nil }},
	"pkcs7":  {"certificate.p7b", "application/pkcs7-mime", func(d *backend.Download) ([]byte, error) { return encodePKCS7(everyCertificate(d)...) }},
	"csr":    {"request.csr", pemText, encodeCSR},
}

// archived are the forms in an archive, in their order there.
var archived = []string{"crt", "ca", "bundle", "pkcs7", "csr"}

// errAbsent is a file that there is nothing to put into.
var errAbsent = errors.New("is not stored")

func formField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"form": {
			Type: framework.TypeString, Required: true, AllowedValues: []any{"crt", "der", "ca", "bundle", "pkcs7", "csr", "zip"},
			Description: "crt, der, ca, bundle, pkcs7, csr or zip.",
		},
	}
}

// downloadFields are how a file is answered.
func downloadFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"encoding": {
			Type: framework.TypeString, Default: "raw", AllowedValues: []any{"raw", "base64"}, Query: true,
			Description: "raw answers with the file itself; base64 with JSON that holds it in content.",
		},
		"remove_roots_from_chain": {Type: framework.TypeBool, Query: true, Description: "Leave self-signed certificates out of ca, bundle, pkcs7 and zip."},
	}
}

// fileFields are the answer to encoding=base64.
func fileFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"content":      {Type: framework.TypeString, Description: "The file in base64. With encoding=raw the file is the answer itself."},
		"content_type": {Type: framework.TypeString, Description: "Media type of the file."},
		"file_name":    {Type: framework.TypeString, Description: "What to call the file."},
	}
}

// downloadResponse answers with the file of a form.
func downloadResponse(d *backend.Download, fd *framework.FieldData) (*logical.Response, error) {
	encoding, form := fd.Get("encoding").(string), fd.Get("form").(string)
	if encoding != "raw" && encoding != "base64" {
		return nil, &backend.FieldError{Field: "encoding", Problem: fmt.Sprintf("%q is not raw or base64", encoding)}
	}
	if d.Certificate != nil && fd.Get("remove_roots_from_chain").(bool) {
		d.Certificate.Chain = withoutRoots(d.Certificate.Chain)
	}
	f, err := fileOf(form)
	if err != nil {
		return nil, err
	}
	if d.Certificate == nil && form != "csr" {
		return nil, &backend.OrderError{Order: d.Order}
	}
	body, err := f.encode(d)
	if errors.Is(err, errAbsent) {
		return nil, &backend.FieldError{Field: "form", Problem: form + " " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	if encoding == "base64" {
		return &logical.Response{Data: map[string]any{
			"content": base64.StdEncoding.EncodeToString(body), "content_type": f.kind, "file_name": f.name,
		}}, nil
	}
	return rawResponse(body, f.kind), nil
}

func fileOf(form string) (file, error) {
	if form == "zip" {
		return file{"certificate.zip", "application/zip", encodeArchive}, nil
	}
	f, ok := files[form]
	if !ok {
		return f, &backend.FieldError{Field: "form", Problem: fmt.Sprintf("%q is not crt, der, ca, bundle, pkcs7, csr or zip", form)}
	}
	return f, nil
}

// rawResponse answers with bytes instead of JSON, as Vault's PKI engine does for certificates.
func rawResponse(body []byte, kind string) *logical.Response {
	return &logical.Response{Data: map[string]any{
		logical.HTTPStatusCode: http.StatusOK, logical.HTTPRawBody: body, logical.HTTPContentType: kind,
	}}
}

func everyCertificate(d *backend.Download) []string {
	return append([]string{d.Certificate.PEM}, d.Certificate.Chain...)
}

// lines joins PEM texts to a file, which ends in a newline.
func lines(texts ...string) []byte {
	return []byte(strings.Join(texts, "\n") + "\n")
}

func der(pemText string) []byte {
	block, _ := pem.Decode([]byte(pemText))
	if block == nil {
		return nil
	}
	return block.Bytes
}

func encodeChain(d *backend.Download) ([]byte, error) {
	if len(d.Certificate.Chain) == 0 {
		return nil, fmt.Errorf("%w: CERTInext delivered the certificate without its chain", errAbsent)
	}
	return lines(d.Certificate.Chain...), nil
}

func encodeCSR(d *backend.Download) ([]byte, error) {
	if d.CSR == "" {
		return nil, fmt.Errorf("%w: the mount has no CSR of this certificate's key", errAbsent)
	}
	return lines(d.CSR), nil
}

// encodePKCS7 is a SignedData that nobody has signed, as RFC 2315 §9.1 has it for certificates alone. CERTInext serves none
// (observed: 406).
func encodePKCS7(certificates ...string) ([]byte, error) {
	var all []byte
	for _, c := range certificates {
		all = append(all, der(c)...)
	}
	out, err := pkcs7.DegenerateCertificate(all)
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS#7: %w", err)
	}
	return out, nil
}

// encodeArchive puts what there is into one file. The same certificate always gives the same bytes: nothing is compressed,
// since compressors differ, and the files are as old as the certificate.
func encodeArchive(d *backend.Download) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, form := range archived {
		f := files[form]
		body, err := f.encode(d)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entry, err := w.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store, Modified: d.Certificate.NotBefore.UTC()})
		if err == nil {
			_, err = entry.Write(body)
		}
		if err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return out.Bytes(), nil
}

const downloadHelp = `
Each form is a file: crt is the certificate in PEM, der the same in DER, ca the chain above it in PEM, bundle both, pkcs7 both as
PKCS#7 (a .p7b file), csr the certificate signing request in PEM, and zip all of them but der in one archive. The key is never part of
any. The files are made of what the mount has stored: CERTInext is not asked, and what it has revoked can still be downloaded.

The answer is the file itself, not JSON, as with cert/<serial>/raw: curl takes it, and vault read -format=raw, which appends a
newline. With encoding=base64 the answer is JSON with the file in content, for clients that only know JSON and for
vault read -field=content … encoding=base64 | base64 -d, which gives the exact bytes.
`
