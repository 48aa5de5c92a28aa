// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"maps"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathHealth are paths of Vault's PKI engine for what this engine does not do: its reads say so in
// the words of that engine. Without them, vault pki health-check takes the server for an old one
// (ADR 0033).
func (b *secretsBackend) pathHealth() []*framework.Path {
	enabled := map[string]*framework.FieldSchema{
		"enabled": {Type: framework.TypeBool, Description: "Always false."},
	}
	answers := func(pattern, synopsis, suffix string,
		fields map[string]*framework.FieldSchema, data map[string]any,
	) *framework.Path {
		read := func(
			context.Context, *logical.Request, *framework.FieldData,
		) (*logical.Response, error) {
			return &logical.Response{Data: maps.Clone(data)}, nil
		}
		return &framework.Path{
			Pattern: pattern,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(read, synopsis, "read", suffix, fields),
			},
			HelpSynopsis:    synopsis,
			HelpDescription: healthHelp,
		}
	}
	return []*framework.Path{
		answers("config/acme$", "The mount is no ACME server.", "acme-configuration",
			enabled, map[string]any{"enabled": false}),
		answers("config/cluster$", "The mount has no address of its own.", "cluster-configuration",
			map[string]*framework.FieldSchema{
				"path":     {Type: framework.TypeString, Description: "Always empty."},
				"aia_path": {Type: framework.TypeString, Description: "Always empty."},
			}, map[string]any{"path": "", "aia_path": ""}),
		missing("issuer/"+framework.GenericNameRegex("issuer_ref")+"/crl$", issuerField(),
			"The mount has no CRLs.",
			"a CRL: CERTInext publishes its CRLs at the address that each certificate names"),
	}
}

// missing declares a path whose read says what the mount does not have.
func missing(
	pattern string, fields map[string]*framework.FieldSchema, synopsis, what string,
) *framework.Path {
	read := operation(func(
		context.Context, *logical.Request, *framework.FieldData,
	) (*logical.Response, error) {
		return nil, unableToFind(what)
	}, synopsis, "", "", nil)
	read.Unpublished = true // it has no answer that could be described
	return &framework.Path{
		Pattern: pattern,
		Fields:  fields,
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: read,
		},
		HelpSynopsis:    synopsis,
		HelpDescription: healthHelp,
	}
}

const healthHelp = `
Vault's PKI engine has this path, and vault pki health-check reads it. This engine does not do what
it is about, and says so.
`
