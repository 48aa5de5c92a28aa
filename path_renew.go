// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathRenew() []*framework.Path {
	key := map[string]*framework.FieldSchema{
		"private_key": {
			Type:        framework.TypeString,
			Description: "Private key, unless a CSR was given.",
		},
		"private_key_type": {
			Type:        framework.TypeString,
			Description: "Type of the private key: ec or rsa.",
		},
	}
	return []*framework.Path{{
		Pattern: "renew/" + framework.GenericNameRegex("role") + "/(?P<serial>[0-9A-Fa-f:-]+)$",
		Fields: merge(roleField(), formatFields(), keyFormatField(),
			map[string]*framework.FieldSchema{
				"serial": {
					Type: framework.TypeString, Required: true,
					Description: "Serial number of the certificate to renew, in hexadecimal, " +
						"with colons or dashes.",
				},
				"csr": {
					Type:        framework.TypeString,
					Description: "CSR in PEM with a new key; when empty, a key is generated.",
				},
				"ttl": {
					Type: framework.TypeSignedDurationSecond,
					Description: "TTL of the lease. CERTInext sets the validity of the " +
						"certificate.",
				},
				"request_id": {
					Type: framework.TypeString,
					Description: "Name of this renewal; renew:<serial> when empty, so that " +
						"repeated requests renew a certificate only once.",
				},
				"owner":         ownerField(),
				"cert_metadata": metadataField(),
				"async": {
					Type:        framework.TypeBool,
					Description: "Return the order without waiting for the certificate.",
				},
				"dry_run": dryRunField(),
			}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.renew,
				"Order the successor of a certificate, for the same names and with a new key.",
				"renew", "certificate", orderInstead(merge(certificateFields(), key))),
		},
		HelpSynopsis:    "Order the successor of a certificate.",
		HelpDescription: renewHelp,
	}}
}

func (b *secretsBackend) renew(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := requestOf(req, d, "async")
	if err != nil {
		return nil, err
	}
	r.Renews, r.CSR = d.Get("serial").(string), d.Get("csr").(string)
	return b.order(ctx, req, d, r)
}

const renewHelp = `
CERTInext has no renewal: this places a new order for the same names, or the same subject, with a
new key, at the price of a new order. With renewal=reissue in the role, it has the certificate
reissued instead, within the subscription that is paid for, while that lasts. The old certificate
stays as it is until it expires or its lease ends, so the two overlap.

However often the same requester asks, a certificate is renewed once, unless the request sets
another request_id. The same request finds the order, and gets the new certificate again as long
as its key is kept (delivery_grace, reuse_window); after that it is refused, and the new
certificate is the one to renew. The role's renewal_window prevents certificates from being
renewed too early.

With dry_run=true, nothing is ordered: the answer says whether the certificate would be reissued
or ordered anew, and what that costs.
`
