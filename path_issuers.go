// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathIssuers() []*framework.Path {
	issuer := "issuer/" + framework.GenericNameRegex("issuer_ref")
	one := func(pattern, summary, suffix string, read handler,
		fields map[string]*framework.FieldSchema,
	) *framework.Path {
		return &framework.Path{
			Pattern: pattern,
			Fields:  issuerField(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(read, summary, "read", suffix, fields),
			},
			HelpSynopsis:    summary,
			HelpDescription: issuersHelp,
		}
	}
	raw := func(encode func(pemText string) []byte, kind string) handler {
		return b.ofIssuer(func(i bundle.Issuer) *logical.Response {
			return rawResponse(encode(i.PEM), kind)
		})
	}
	inPEM := func(text string) []byte { return []byte(text) }
	return []*framework.Path{
		{
			Pattern: "issuers/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listIssuers,
					"List the CAs above the newest certificate.",
					"list", "issuers", merge(keysField("Ids of the CAs."), issuerInfoField())),
			},
			HelpSynopsis:    "List the CAs above the newest certificate.",
			HelpDescription: issuersHelp,
		},
		one(issuer+"/json$", "A CA's certificate and chain.", "issuer-json",
			b.ofIssuer(describeIssuer), issuerFields()),
		one(issuer+"/der$", "A CA's certificate in DER.", "issuer-der",
			raw(bundle.BytesOf, bundle.MediaDER), nil),
		one(issuer+"/pem$", "A CA's certificate in PEM.", "issuer-pem",
			raw(inPEM, bundle.MediaChain), nil),
		one(issuer+"$", "A CA's certificate, its chain and its key.", "issuer",
			b.ofIssuer(describeIssuerWithKey), merge(issuerFields(), issuerKeyField())),
	}
}

func issuerField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"issuer_ref": {
			Type: framework.TypeString, Required: true,
			Description: "Id of a CA, as in issuers, or default for the issuing CA.",
		},
	}
}

func issuerInfoField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"key_info": {
			Type: framework.TypeMap,
			Description: "For each id: serial_number, is_default (whether it is the issuing CA), " +
				"and issuer_name and key_id, which are empty.",
		},
	}
}

func issuerFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"certificate": {Type: framework.TypeString, Description: "Certificate of the CA, in PEM."},
		"ca_chain": {
			Type:        framework.TypeStringSlice,
			Description: "Its certificate and those above it, in PEM.",
		},
		"issuer_id":   {Type: framework.TypeString, Description: "Id of the CA."},
		"issuer_name": {Type: framework.TypeString, Description: "Always empty."},
	}
}

func issuerKeyField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"key_id": {
			Type:        framework.TypeString,
			Description: "Always empty: the CA's key is at CERTInext.",
		},
	}
}

// issuers returns the CAs of the chain above the newest certificate.
func (b *secretsBackend) issuers(
	ctx context.Context, req *logical.Request,
) ([]bundle.Issuer, error) {
	chain, err := b.engine.Certificates.CAChain(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return bundle.Issuers(chain), nil
}

func (b *secretsBackend) listIssuers(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	issuers, err := b.issuers(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(issuers) == 0 {
		return nil, unableToFind("an issuer: the mount has not obtained a certificate yet")
	}
	info := make(map[string]any, len(issuers))
	for n, i := range issuers {
		info[i.ID] = map[string]any{
			"serial_number": i.SerialNumber,
			"is_default":    n == 0,
			"issuer_name":   "",
			"key_id":        "",
		}
	}
	keys := listed(slices.Sorted(maps.Keys(info)), d)
	maps.DeleteFunc(info, func(id string, _ any) bool { return !slices.Contains(keys, id) })
	return logical.ListResponseWithInfo(keys, info), nil
}

// ofIssuer answers for the CA that the request names.
func (b *secretsBackend) ofIssuer(encode func(bundle.Issuer) *logical.Response) handler {
	return func(
		ctx context.Context, req *logical.Request, d *framework.FieldData,
	) (*logical.Response, error) {
		issuers, err := b.issuers(ctx, req)
		if err != nil {
			return nil, err
		}
		ref := d.Get("issuer_ref").(string)
		for n, i := range issuers {
			if i.ID == ref || (n == 0 && ref == "default") {
				return encode(i), nil
			}
		}
		return nil, unableToFind("the issuer " + ref + ": those of the mount are listed by issuers")
	}
}

func describeIssuer(i bundle.Issuer) *logical.Response {
	return &logical.Response{Data: map[string]any{
		"certificate": i.PEM,
		"ca_chain":    append([]string{}, i.Chain...),
		"issuer_id":   i.ID,
		"issuer_name": "",
	}}
}

func describeIssuerWithKey(i bundle.Issuer) *logical.Response {
	resp := describeIssuer(i)
	resp.Data["key_id"] = ""
	return resp
}

// unableToFind is a 404 that says what is not there. Its first words are those by which
// vault pki health-check recognizes what a mount does not have.
func unableToFind(what string) error {
	return logical.CodedError(http.StatusNotFound, "unable to find "+what)
}

const issuersHelp = `
The CAs of the chain above the mount's newest certificate, as in ca_chain: CERTInext has no call
that lists an account's CAs. The id of a CA is derived from its certificate. A role's product
determines which CA issues: only default can be named in a request.
`
