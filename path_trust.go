// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathTrust() []*framework.Path {
	return []*framework.Path{
		{
			Pattern: "config/trust/?$",
			Fields:  merge(listFields(), trustFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readTrust,
					"Read which keys clients refuse, and whose roots are known.",
					"read", "trust", merge(trustFields(), map[string]*framework.FieldSchema{
						"builtin_keys": {
							Type: framework.TypeStringSlice,
							Description: "Keys that are refused whatever is written: those that " +
								"Go's verifier refuses from version 1.26.10 on.",
						},
						"families": {
							Type: framework.TypeMap,
							Description: "The families of clients whose roots are known, and " +
								"how many roots each has.",
						},
					})),
				logical.UpdateOperation: writing(b.writeTrust,
					"Write which keys clients refuse.",
					"write", "trust", hitFields()),
				logical.ListOperation: operation(b.listFamilies,
					"List the families of clients whose roots are known.",
					"list", "trusted-roots", keysField("Names of the families.")),
			},
			HelpSynopsis:    "Which keys clients refuse, and whose roots are known.",
			HelpDescription: trustHelp,
		},
		{
			Pattern: "config/trust/" + framework.GenericNameRegex("family") + "$",
			Fields:  merge(familyField(), rootsFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readFamily,
					"Read the roots that a family of clients trusts.",
					"read", "trusted-roots", merge(rootsFields(),
						map[string]*framework.FieldSchema{
							"count": {Type: framework.TypeInt, Description: "Number of roots."},
						})),
				logical.UpdateOperation: writing(b.writeFamily,
					"Write the roots that a family of clients trusts, all of them.",
					"write", "trusted-roots", hitFields()),
				logical.DeleteOperation: silent(writing(b.deleteFamily,
					"Forget a family of clients.",
					"delete", "trusted-roots", nil)),
			},
			HelpSynopsis:    "The roots that a family of clients trusts.",
			HelpDescription: trustHelp,
		},
	}
}

func trustFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"distrusted_keys": {
			Type: framework.TypeCommaStringSlice,
			Description: "Keys of CAs that clients refuse, each as the SHA-256 of the " +
				"SubjectPublicKeyInfo in hexadecimal, beside the builtin ones. They replace " +
				"those that were written before.",
		},
	}
}

func familyField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"family": {
			Type:        framework.TypeString,
			Description: "Name of the family of clients, such as mozilla or java.",
			Required:    true,
		},
	}
}

func rootsFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"roots": {
			Type: framework.TypeString,
			Description: "The certificates of the roots that these clients trust, in PEM; text " +
				"between them is passed over.",
		},
	}
}

func (b *secretsBackend) readTrust(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	t, err := backend.ReadTrust(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		"distrusted_keys": t.DistrustedKeys,
		"builtin_keys":    t.BuiltinKeys,
		"families":        t.Families,
	}}, nil
}

func (b *secretsBackend) writeTrust(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	keys, given := d.GetOk("distrusted_keys")
	if !given {
		return nil, &backend.FieldError{
			Field: "distrusted_keys",
			Problem: "is missing: write all keys that clients refuse, or an empty list for none " +
				"beside the builtin ones",
		}
	}
	err := backend.WriteDistrustedKeys(ctx, b.engine, req.Storage, keys.([]string))
	if err != nil {
		return nil, err
	}
	return b.tellHit(ctx, req), nil
}

// tellHit answers a write that is stored with how many live certificates it concerns.
func (b *secretsBackend) tellHit(ctx context.Context, req *logical.Request) *logical.Response {
	counts, whole, err := backend.CountTrust(ctx, b.engine, req.Storage)
	resp := &logical.Response{Data: encodeTrustCounts(counts)}
	resp.Data["complete"] = whole
	switch {
	case err != nil:
		resp.AddWarning("it is stored, and not all certificates could be counted: " +
			"vault read <mount>/status counts them")
	case !whole:
		resp.AddWarning("it is stored, and not all certificates were counted yet: " +
			"vault read <mount>/status counts them in a minute")
	}
	return resp
}

func (b *secretsBackend) listFamilies(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	names, err := backend.TrustedFamilies(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(listed(names, d)), nil
}

func (b *secretsBackend) readFamily(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	family, roots, err := backend.ReadFamily(ctx, req.Storage, d.Get("family").(string))
	if err != nil || family == nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{"roots": roots, "count": family.Len()}}, nil
}

func (b *secretsBackend) writeFamily(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	name, roots := d.Get("family").(string), d.Get("roots").(string)
	_, err := b.engine.Trust.WriteFamily(ctx, req.Storage, name, roots)
	if err != nil {
		return nil, err
	}
	return b.tellHit(ctx, req), nil
}

func (b *secretsBackend) deleteFamily(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.Trust.DeleteFamily(ctx, req.Storage, d.Get("family").(string))
}

const trustHelp = `
A CA can lose its keys, or its place in a root store, overnight. Then some clients refuse its
certificates, and others do not. Two things say which:

  distrusted_keys of config/trust are keys of CAs that clients refuse whoever has certified them.
  Those that Go's verifier refuses are known without being written.

  config/trust/<family> holds the roots that one family of clients trusts, such as mozilla or java,
  as their maker publishes them. Nothing is said of clients that no family stands for.

A certificate may have several chains, where its CA is cross-signed. It is distrusted when each of
them has a distrusted key, and a family accepts it when one chain without such a key ends at one of
the family's roots. Only certificates that CERTInext has delivered are looked at: a client may know
others.

Writing either answers how many live certificates clients refuse by what is written. inventory/certs
finds them with trust=distrusted, trust=refused or refused_by=<family>; status, metrics and
config/check count them.

The role field trust says what becomes of a certificate that is distrusted, or that a family
refuses: a warning with each answer, or held until an operator releases it. What was handed over
before stays as it is: reading cert/<serial> shows what clients make of it now, under trust.
`

const trustCountsAbout = "How many live certificates clients refuse, by config/trust: live (how " +
	"many there are), distrusted (each of their chains has a key that clients refuse), partly " +
	"(some have), refused_by (how many each family does not accept), unknown (nothing is known) " +
	"and unfinished (they have more chains than can be tried)."

// hitFields are the answer of a write: which certificates it concerns.
func hitFields() map[string]*framework.FieldSchema {
	number := func(description string) *framework.FieldSchema {
		return &framework.FieldSchema{Type: framework.TypeInt, Description: description}
	}
	return map[string]*framework.FieldSchema{
		"live": number("Certificates that are neither revoked nor expired."),
		"distrusted": number("Those with a key that clients refuse in each of their chains, " +
			"after the write."),
		"partly": number("Those with such a key in some of their chains."),
		"refused_by": {
			Type:        framework.TypeMap,
			Description: "How many of them each family of clients does not accept.",
		},
		"unknown": number("Those of which nothing is known, since they cannot be read, or were " +
			"not looked at yet."),
		"unfinished": number("Those with more chains than can be tried."),
		"complete": {
			Type:        framework.TypeBool,
			Description: "Whether all certificates that are stored were counted.",
		},
	}
}

func encodeTrustCounts(c *backend.TrustCounts) map[string]any {
	refused := make(map[string]any, len(c.Refused))
	for family, n := range c.Refused {
		refused[family] = n
	}
	return map[string]any{
		"live": c.Live, "distrusted": c.Distrusted, "partly": c.Partly, "refused_by": refused,
		"unknown": c.Unknown, "unfinished": c.Unfinished,
	}
}

// encodeTrust returns which clients accept a certificate.
func encodeTrust(v *backend.TrustVerdict) map[string]any {
	links := func(links []backend.TrustLink) []string {
		names := make([]string, 0, len(links))
		for _, link := range links {
			names = append(names, string(link.Key)+" "+link.Name)
		}
		return names
	}
	return map[string]any{
		"distrusted":  links(v.Distrusted),
		"avoid":       links(v.Avoid),
		"accepted_by": append([]string{}, v.Accept...),
		"refused_by":  append([]string{}, v.Refuse...),
		"unfinished":  v.Unfinished,
	}
}
