// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "context"

// Certificate downloads an order's certificate in CERTInext's JSON form. The bundle is what CERTInext sent: before it is
// used, the leaf's public key has to be compared with the CSR's, and the chain sorted and verified. Until July 2026 the
// root was observed right after the leaf, and it is commonly included.
//
// For some seconds after an order becomes issued there is no certificate yet; [IsNotReady] tells that error. The
// certificate of a revoked order is not served any more, so what was downloaded must be kept.
func (c *Client) Certificate(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.download(ctx, f, id, "application/json")
}

// CertificatePEM downloads an order's certificate and intermediates as a PEM file (documented). Which of them is the
// leaf is not documented, so it is the first that is not a CA's. PKCS #7 is not offered: CERTInext answers 406 to it.
func (c *Client) CertificatePEM(ctx context.Context, f Family, id string) (*Bundle, error) {
	return c.download(ctx, f, id, "application/x-pem-file")
}

func (c *Client) download(ctx context.Context, f Family, id, accept string) (*Bundle, error) {
	const operation = "downloading certificate"
	path, err := orderPath(f, id, "/certificate")
	if err != nil {
		return nil, asError(operation, err)
	}
	req := c.read(operation, path, nil)
	req.header.Set("Accept", accept)
	b, err := fetch(ctx, c, req, decodeBundle)
	if err != nil {
		return nil, err
	}
	if b.OrderID == "" {
		b.OrderID = id
	}
	return b, nil
}
