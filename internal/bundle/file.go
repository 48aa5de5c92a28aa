// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// The media types of files and of raw answers.
const (
	MediaChain = "application/pem-certificate-chain" // RFC 8555, section 9.1
	MediaDER   = "application/pkix-cert"             // RFC 2585, section 4.1
	mediaPEM   = "application/x-pem-file"
	mediaPKCS7 = "application/pkcs7-mime"
	mediaZIP   = "application/zip"
)

// A File is a form in which a certificate is downloaded. No file contains a key.
type File struct {
	Name      string // file name, such as certificate.crt
	MediaType string

	encode func(*Certificate) ([]byte, error)
}

// ErrAbsent is returned when the content of a file is not stored.
var ErrAbsent = errors.New("is not stored")

// files are all forms except zip.
var files = map[string]File{
	"crt": {
		"certificate.crt", MediaChain,
		func(c *Certificate) ([]byte, error) { return lines(c.PEM), nil },
	},
	"der": {
		"certificate.cer", MediaDER,
		func(c *Certificate) ([]byte, error) { return BytesOf(c.PEM), nil },
	},
	"ca": {"ca_chain.crt", MediaChain, encodeChain},
	"bundle": {
		"bundle.crt", MediaChain,
		func(c *Certificate) ([]byte, error) { return lines(c.certificates()...), nil },
	},
	"pkcs7": {
		"certificate.p7b", mediaPKCS7,
		func(c *Certificate) ([]byte, error) { return encodePKCS7(c.certificates()) },
	},
	"csr": {"request.csr", mediaPEM, encodeCSR},
}

// archived lists the files of an archive in their order.
var archived = []string{"crt", "ca", "bundle", "pkcs7", "csr"}

// FileForms lists the forms that [FileOf] accepts.
func FileForms() []string { return []string{"crt", "der", "ca", "bundle", "pkcs7", "csr", "zip"} }

// FileOf returns the file for a form: crt, der, ca, bundle, pkcs7, csr, or zip, an archive of all
// others except der. Its error is an [*OptionError].
func FileOf(form string) (File, error) {
	if form == "zip" {
		return File{"certificate.zip", mediaZIP, encodeArchive}, nil
	}
	f, ok := files[form]
	if !ok {
		return f, &OptionError{
			"form",
			"must be crt, der, ca, bundle, pkcs7, csr or zip",
		}
	}
	return f, nil
}

// Encode returns the content of the file. The error wraps [ErrAbsent] if the certificate lacks the
// part that the file consists of.
func (f File) Encode(c *Certificate) ([]byte, error) { return f.encode(c) }

// lines joins PEM texts to a file that ends in a newline.
func lines(texts ...string) []byte {
	return []byte(strings.Join(texts, "\n") + "\n")
}

func encodeChain(c *Certificate) ([]byte, error) {
	if len(c.Chain) == 0 {
		return nil, fmt.Errorf("%w: CERTInext delivered the certificate without its chain",
			ErrAbsent)
	}
	return lines(c.Chain...), nil
}

func encodeCSR(c *Certificate) ([]byte, error) {
	if c.CSR == "" {
		return nil, fmt.Errorf("%w: the mount has no CSR of this certificate's key", ErrAbsent)
	}
	return lines(c.CSR), nil
}

// encodeArchive archives every file whose content is stored. The same certificate always gives the
// same bytes: nothing is compressed, since compressors differ, and the files are dated by the
// certificate.
func encodeArchive(c *Certificate) ([]byte, error) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, form := range archived {
		f := files[form]
		body, err := f.encode(c)
		if errors.Is(err, ErrAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		entry, err := w.CreateHeader(&zip.FileHeader{
			Name:     f.Name,
			Method:   zip.Store,
			Modified: c.NotBefore.UTC(),
		})
		if err == nil {
			_, err = entry.Write(body)
		}
		if err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return out.Bytes(), nil
}
