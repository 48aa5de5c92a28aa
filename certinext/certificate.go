// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "context"

const downloading = "downloading certificate"

// Certificate downloads an order's certificate in CERTInext's JSON form. The bundle is what CERTInext sent: before it is
// used, the leaf's public key has to be compared with the CSR's, and the chain sorted and verified. Until July 2026 the
// root was observed right after the leaf, and it is commonly included.
//
// For some seconds after an order becomes issued there is no certificate yet; [IsNotReady] tells that error. The
// certificate of a revoked order is not served any more, so what was downloaded must be kept.
func (c *Client) Certificate(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.protocolFor(f).certificate(ctx, downloading, f, id)
}

// CertificatePEM downloads an order's certificate and intermediates as a PEM file (documented). Which of them is the
// leaf is not documented, so it is the first that is not a CA's. PKCS #7 is not offered: CERTInext answers 406 to it.
func (c *Client) CertificatePEM(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.protocolFor(f).certificatePEM(ctx, downloading, f, id)
}

func (c v2) certificate(ctx context.Context, operation string, f Family, id string) (*Bundle, error) {
	return c.download(ctx, operation, f, id, "application/json")
}

func (c v2) certificatePEM(ctx context.Context, operation string, f Family, id string) (*Bundle, error) {
	return c.download(ctx, operation, f, id, "application/x-pem-file")
}

func (c v2) download(ctx context.Context, operation string, f Family, id, accept string) (*Bundle, error) {
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
