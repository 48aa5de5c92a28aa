// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Download is what the mount has stored of an order for downloading as files. It never holds the
// key. CERTInext is not asked: it serves neither PKCS#7 nor CSRs, and nothing at all of a revoked
// order (observed).
type Download struct {
	// Order is the order that was asked for; nil when a certificate was asked for.
	Order *Order
	// Certificate is nil while the order has none.
	Certificate *certificates.Certificate
	// CSR is PEM. It is empty when the mount has stored none for the certificate's key.
	CSR string
}

// DownloadCertificate returns what is stored of a certificate, by its serial number. It returns nil
// when there is none.
func (journal *Journal) DownloadCertificate(
	ctx context.Context, s logical.Storage, serial string,
) (*Download, error) {
	c, err := journal.Certificates.Certificate(ctx, s, serial)
	if err != nil || c == nil {
		return nil, err
	}
	o, err := journal.findOrder(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return nil, err
	}
	d := &Download{Certificate: c}
	if o != nil {
		d.CSR = o.csrOf(c)
	}
	return d, nil
}

// DownloadOrder returns what is stored of an order of a role. It returns nil when the role has no
// order of that id.
func (journal *Journal) DownloadOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (*Download, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil {
		return nil, err
	}
	d := &Download{Order: journal.shown(o)}
	if d.Order.State == StateHeld {
		return nil, &Error{Order: d.Order, Err: errHeld}
	}
	if d.Order.Serial != "" {
		d.Certificate, err = journal.Certificates.Certificate(ctx, s, d.Order.Serial)
		if err != nil {
			return nil, err
		}
		if d.Certificate == nil {
			return nil, fmt.Errorf(
				"order %s: its certificate %s is not stored", id, d.Order.Serial)
		}
	}
	d.CSR = o.csrOf(d.Certificate)
	return d, nil
}

// csrOf returns the order's CSR in PEM. It returns nothing when the CSR is for another key than
// c, since an order may have been given another key after c was issued. When c is nil, any CSR
// will do.
func (o *orderEntry) csrOf(c *certificates.Certificate) string {
	block, _ := pem.Decode([]byte(o.CSR))
	if block == nil {
		return ""
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || (c != nil && !c.HasKey(csr.PublicKey)) {
		return ""
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw})
	return strings.TrimSpace(string(text))
}
