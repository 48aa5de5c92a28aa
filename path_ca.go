// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"net/http"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathCA() []*framework.Path {
	raw := func(pattern, summary, suffix string,
		encode func(chain []string) ([]byte, string),
	) *framework.Path {
		read := operation(b.readRawCA(encode), summary, "read", suffix, nil)
		read.Responses[http.StatusNoContent] = []framework.Response{
			{Description: "No certificate has been issued yet"},
		}
		return &framework.Path{
			Pattern: pattern,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: read,
			},
			HelpSynopsis:    summary,
			HelpDescription: caHelp,
		}
	}
	fields := map[string]*framework.FieldSchema{
		"certificate": {Type: framework.TypeString, Description: "Certificate or chain in PEM."},
		"ca_chain": {
			Type:        framework.TypeString,
			Description: "Chain in PEM, the issuing CA first.",
		},
		"authority_key_id": authorityKeyID(),
		"revocation_time": {
			Type:        framework.TypeInt64,
			Description: "Always 0: whether a CA is revoked is not known here.",
		},
		"revocation_time_rfc3339": {Type: framework.TypeString, Description: "Always empty."},
	}
	inDER := func(chain []string) ([]byte, string) {
		return bundle.BytesOf(chain[0]),
			bundle.MediaDER
	}
	inPEM := func(chain []string) ([]byte, string) { return []byte(chain[0]), bundle.MediaChain }
	return []*framework.Path{
		raw("ca$", "The issuing CA's certificate in DER.", "ca-der", inDER),
		raw("ca/pem$", "The issuing CA's certificate in PEM.", "ca-pem", inPEM),
		raw("cert/ca/raw$", "The issuing CA's certificate in DER.", "cert-ca-raw-der", inDER),
		raw("cert/ca/raw/pem$", "The issuing CA's certificate in PEM.", "cert-ca-raw-pem", inPEM),
		raw("ca_chain$", "The CA chain in PEM.", "ca-chain-pem",
			func(chain []string) ([]byte, string) {
				return []byte(bundle.JoinPEM(chain)), bundle.MediaChain
			}),
		{
			Pattern: "cert/(ca|ca_chain)$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readCA,
					"The issuing CA's certificate, or the CA chain.",
					"read", "cert-ca|cert-ca-chain", fields),
			},
			HelpSynopsis: "The issuing CA's certificate (cert/ca) or the CA chain " +
				"(cert/ca_chain).",
			HelpDescription: caHelp,
		},
	}
}

// readRawCA answers with bytes instead of JSON, or with no content until the first certificate has
// been issued.
func (b *secretsBackend) readRawCA(encode func(chain []string) ([]byte, string)) handler {
	return func(
		ctx context.Context, req *logical.Request, _ *framework.FieldData,
	) (*logical.Response, error) {
		chain, err := b.engine.Certificates.CAChain(ctx, req.Storage)
		if err != nil {
			return nil, err
		}
		if len(chain) > 0 {
			return rawResponse(encode(chain)), nil
		}
		return &logical.Response{Data: map[string]any{
			logical.HTTPStatusCode: http.StatusNoContent, logical.HTTPRawBody: []byte{},
			logical.HTTPContentType: "",
		}}, nil
	}
}

func (b *secretsBackend) readCA(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	chain, err := b.engine.Certificates.CAChain(ctx, req.Storage)
	if err != nil || len(chain) == 0 {
		return nil, err
	}
	certificate, all := chain[0], bundle.JoinPEM(chain)
	if strings.HasSuffix(req.Path, "ca_chain") {
		certificate = all
	}
	return &logical.Response{Data: map[string]any{
		"certificate":             certificate,
		"ca_chain":                all,
		"authority_key_id":        bundle.AuthorityKeyID(certificate),
		"revocation_time":         int64(0),
		"revocation_time_rfc3339": "",
	}}, nil
}

const caHelp = `
CERTInext has no call that lists an account's CAs, so this is the chain of the mount's newest
certificate. It is empty until the first certificate is issued. Every answer of issue and sign
includes its own chain.
`
