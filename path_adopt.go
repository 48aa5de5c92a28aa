// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathAdopt gives certificates that were ordered outside of the mount to roles. Like the other
// paths of operators, it is never below what a team's policy grants by a wildcard.
func (b *secretsBackend) pathAdopt() []*framework.Path {
	role := "operator/adopt/" + framework.GenericNameRegex("role")
	return []*framework.Path{
		{
			Pattern: role + "$",
			Fields:  merge(roleField(), adoptFields()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.adopt,
					"Give certificates that were ordered outside of this mount to a role.",
					"adopt", "certificates", adoptedFields()),
			},
			HelpSynopsis:    "Give certificates that were ordered outside of this mount to a role.",
			HelpDescription: adoptHelp,
		},
		{
			Pattern: role + "/(?P<serial>[0-9A-Fa-f:-]+)$",
			Fields:  merge(roleField(), serialField()),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.DeleteOperation: silent(writing(b.unadopt,
					"Undo the adoption of a certificate.",
					"undo", "adoption", nil)),
			},
			HelpSynopsis:    "Undo the adoption of a certificate.",
			HelpDescription: adoptHelp,
		},
	}
}

func adoptFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"serial_number": {
			Type: framework.TypeCommaStringSlice,
			Description: "Serial numbers of one or several certificates, in hexadecimal, with " +
				"colons or dashes.",
		},
		"domain": {
			Type: framework.TypeString,
			Description: "Instead of serial_number: all valid certificates that belong to no " +
				"role and whose names are this domain or below it.",
		},
		"entity_id": {
			Type: framework.TypeString,
			Description: "Identity entity that is to be the certificates' requester, and may " +
				"renew and revoke them as if it had ordered them. Without one, only those may " +
				"to whom the role's order_access=role gives all of its orders; operators may " +
				"revoke them in any case.",
		},
		"product_code": {
			Type: framework.TypeString,
			Description: "Product of the certificates' orders, where CERTInext's report did not " +
				"say it. It has to be the role's.",
		},
		"from_other_mount": {
			Type: framework.TypeBool,
			Description: "Adopt certificates, too, whose orders another mount of this secrets " +
				"engine has placed: their orders have a tag vault-order:... in reports/orders. " +
				"That mount may renew and revoke them, too, so it has to be gone, or to leave " +
				"them alone.",
		},
		"limit": {
			Type: framework.TypeInt, Default: 100,
			Description: "Maximum number of certificates that are adopted or refused, 1 to 1000.",
		},
		"after": {
			Type:        framework.TypeString,
			Description: "Continue after this serial number, the next of an earlier answer.",
		},
		"dry_run": {
			Type: framework.TypeBool,
			Description: "Adopt nothing, and ask CERTInext nothing: answer what would be adopted " +
				"as far as this mount knows.",
		},
	}
}

func adoptedFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"adopted": {
			Type: framework.TypeSlice,
			Description: "The certificates that belong to the role now: serial_number, order_id " +
				"(of this mount), ca_order_id (CERTInext's), expiration (in seconds since 1970), " +
				"and already, when it was adopted before.",
		},
		"refused": {
			Type:        framework.TypeSlice,
			Description: "Those that were not adopted: serial_number, and why.",
		},
		"next": {
			Type: framework.TypeString,
			Description: "Serial number to continue after (after); empty when all certificates " +
				"were looked at.",
		},
		"dry_run": {
			Type:        framework.TypeBool,
			Description: "Whether nothing was changed.",
		},
	}
}

func (b *secretsBackend) adopt(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r := backend.AdoptRequest{
		Serials: d.Get("serial_number").([]string), Domain: d.Get("domain").(string),
		After: d.Get("after").(string), Limit: d.Get("limit").(int),
	}
	r.Role, r.ProductCode = d.Get("role").(string), d.Get("product_code").(string)
	r.EntityID, r.VaultID = d.Get("entity_id").(string), req.ID
	r.FromOtherMount = d.Get("from_other_mount").(bool)
	if r.EntityID != "" {
		r.Requester = entityRequester(r.EntityID)
	}
	s := req.Storage
	if r.DryRun = isDryRun(d); r.DryRun {
		s = backend.ReadOnly(s)
	}
	result, err := b.engine.Inventory.Adopt(ctx, s, r)
	if err != nil {
		return nil, err
	}
	adopted, refused := []any{}, []any{}
	for _, a := range result.Adopted {
		adopted = append(adopted, map[string]any{
			"serial_number": a.Certificate.Serial, "order_id": a.Certificate.OrderID,
			"ca_order_id": a.Certificate.CAOrderID,
			"expiration":  a.Certificate.NotAfter.Unix(), "already": a.Already,
		})
	}
	for _, f := range result.Refused {
		refused = append(refused, map[string]any{"serial_number": f.Serial, "why": f.Why})
	}
	resp := &logical.Response{Data: map[string]any{
		"adopted": adopted, "refused": refused, "dry_run": r.DryRun,
		"next": strings.ReplaceAll(result.Next, "-", ":"),
	}}
	for _, text := range result.Warnings {
		resp.AddWarning(text)
	}
	return resp, nil
}

func (b *secretsBackend) unadopt(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.Inventory.Unadopt(ctx, req.Storage, d.Get("role").(string),
		d.Get("serial").(string))
}

const adoptHelp = `
A certificate that was ordered in CERTInext's portal, through ACME or by another program, and that
a synchronization (sync) has brought into this mount, belongs to no role: only operators revoke it.
Adopting it gives it to a role, with an order of its own below orders/<role>. From then on it is
like one of the role's own: renew/<role>/<serial> renews it, revoke/<role> revokes it, a request of
the entity for the same names is answered within its subscription where the role says
renewal=reissue, and reports/spend counts it as adopted. The mount never has its private key.

The role has to be for the certificate's product, and to allow its names. The certificate has to be
valid, of the account in config, nobody's, and issued by CERTInext's present word: each one costs a
call. A certificate that another one has replaced within its order is not adopted; that one is.
Adopting what is adopted already changes nothing, so a request that was cut short is sent again.

Two mounts on one account do not know of each other: what the other mount has ordered is brought by
a synchronization like anything else. If it were adopted, both mounts might renew it, which costs an
order each, and either might revoke it. So it is refused, by the tag vault-order:... that the orders
of a mount have in reports/orders, unless the request says from_other_mount=true.

Deleting operator/adopt/<role>/<serial> undoes an adoption, as long as the certificate was neither
renewed nor reissued, and no open order is to do that. The certificate stays valid.
`
