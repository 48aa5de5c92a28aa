// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
)

const downloading = "downloading certificate"

// A Bundle is an issued certificate as CERTInext delivered it: unsorted, unverified, the root
// possibly included or the chain absent.
type Bundle struct {
	// OrderID is the order's whose certificate this is. An answer for another order is an error.
	OrderID string
	// Certificate is the leaf and Chain the rest, as PEM with a final newline, in the order in
	// which they came. Chain is empty when CERTInext sent none.
	Certificate string
	Chain       []string
}

// Certificate downloads an order's certificate in CERTInext's JSON form. The bundle is what
// CERTInext sent: before it is used, the leaf's public key has to be compared with the CSR's, and
// the chain sorted and verified. Until July 2026 the root was observed right after the leaf, and it
// is commonly included.
//
// For some seconds after an order becomes issued there is no certificate yet; [IsNotReady] tells
// that error. The certificate of a revoked order is not served any more, so what was downloaded
// must be kept.
func (c *Client) Certificate(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.protocolFor(f).certificate(ctx, downloading, f, id)
}

// CertificatePEM downloads an order's certificate and intermediates as a PEM file (documented).
// Which of them is the leaf is not documented, so the first that is not a CA's is taken. PKCS #7 is
// not offered: CERTInext answers 406 to it.
func (c *Client) CertificatePEM(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.protocolFor(f).certificatePEM(ctx, downloading, f, id)
}

func (c v2) certificate(
	ctx context.Context, operation string, f Family, id string,
) (*Bundle, error) {
	return c.download(ctx, operation, f, id, "application/json")
}

func (c v2) certificatePEM(
	ctx context.Context, operation string, f Family, id string,
) (*Bundle, error) {
	return c.download(ctx, operation, f, id, "application/x-pem-file")
}

func (c v2) download(
	ctx context.Context, operation string, f Family, id, accept string,
) (*Bundle, error) {
	path, err := orderPath(f, id, "/certificate")
	if err != nil {
		return nil, asError(operation, err)
	}
	req := c.read(operation, path, nil)
	req.header.Set("Accept", accept)
	b, err := fetch(ctx, c.Client, req, func(body []byte) (*Bundle, error) {
		b, err := decodeBundle(body)
		if err != nil {
			return nil, err
		}
		return b, namesOrder(text(b.OrderID), id)
	})
	if err != nil {
		return nil, err
	}
	if b.OrderID == "" {
		b.OrderID = id
	}
	return b, nil
}

// wireBundle is a downloaded certificate. Serial number, subject and dates are not read: the serial
// number comes in decimal from the live service and in hex in the documentation, and all of it
// stands in the certificate.
type wireBundle struct {
	OrderID        text       `json:"orderId"`
	CertificatePEM text       `json:"certificatePem"`
	ChainPEM       list[text] `json:"chainPem"` // a list, null, absent, or a single string
}

const maxCertificates = 32

var errNotPEM = errors.New("the answer holds something that is not a certificate in PEM")

// decodeBundle reads either form of a download, JSON or PEM.
func decodeBundle(body []byte) (*Bundle, error) {
	switch trimmed := trim(body); {
	case len(trimmed) == 0:
		return nil, errNoCertificate
	case trimmed[0] == '{':
		return decodeJSONBundle(trimmed)
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN ")):
		return decodePEMBundle(string(trimmed))
	}
	return nil, errNotPEM
}

func decodeJSONBundle(body []byte) (*Bundle, error) {
	var w wireBundle
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	return w.bundle()
}

func (w wireBundle) bundle() (*Bundle, error) {
	if strings.TrimSpace(string(w.CertificatePEM)) == "" {
		return nil, errNoCertificate
	}
	all, err := certificates(string(w.CertificatePEM))
	if err != nil {
		return nil, err
	}
	for _, t := range w.ChainPEM {
		if strings.TrimSpace(string(t)) == "" {
			continue
		}
		more, err := certificates(string(t))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	if len(all) > maxCertificates {
		return nil, errNotPEM
	}
	return &Bundle{OrderID: strings.TrimSpace(
		string(w.OrderID),
	), Certificate: all[0], Chain: all[1:]}, nil
}

func decodePEMBundle(body string) (*Bundle, error) {
	all, err := certificates(body)
	if err != nil {
		return nil, err
	}
	leaf := max(slices.IndexFunc(all, isLeaf), 0)
	return &Bundle{Certificate: all[leaf], Chain: slices.Delete(
		slices.Clone(all), leaf, leaf+1,
	)}, nil
}

// certificates splits s into certificates, each in PEM with a final newline, which the live service
// leaves out. At least one is returned without an error. Base64 without the PEM lines around it is
// taken too: the documentation shows CSRs in that form.
func certificates(s string) ([]string, error) {
	var out []string
	rest := []byte(s)
	if der, err := base64.StdEncoding.DecodeString(
		strings.Join(strings.Fields(s), ""),
	); err == nil {
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, errNotPEM
		}
		return []string{encodeCertificate(der)}, nil
	}
	blocks := 0
	for len(out) <= maxCertificates {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		if block.Type == "CERTIFICATE" && len(block.Bytes) > 0 {
			out = append(out, encodeCertificate(block.Bytes))
		}
	}
	// The decoder passes over what it cannot read: an answer that was cut off would lose its end,
	// and with it most of a chain.
	if len(out) == 0 || len(out) > maxCertificates || strings.Count(s, "-----BEGIN ") > blocks {
		return nil, errNotPEM
	}
	return out, nil
}

func encodeCertificate(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func isLeaf(s string) bool {
	block, _ := pem.Decode([]byte(s))
	if block == nil {
		return false
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	return err == nil && !cert.IsCA
}
