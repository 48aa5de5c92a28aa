// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathRoles() []*framework.Path {
	name := map[string]*framework.FieldSchema{
		"name": {Type: framework.TypeString, Description: "Name of the role.", Required: true},
	}
	return []*framework.Path{
		{
			Pattern: "roles/?$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listRoles, "List the roles.", "list", "roles", keysField("Names of the roles.")),
			},
			HelpSynopsis:    "List the roles.",
			HelpDescription: "Lists the names of the roles of this mount.",
		},
		{
			Pattern: "roles/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(roleFields, backend.NewRole(""))),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation:   operation(b.readRole, "Read a role.", "read", "role", readable(roleFields)),
				logical.UpdateOperation: warned(silent(writing(b.writeRole, "Set a role. Fields that are left out get their defaults.", "write", "role", nil))),
				logical.PatchOperation:  warned(silent(writing(b.patchRole, "Change some fields of a role.", "patch", "role", nil))),
				logical.DeleteOperation: silent(writing(b.deleteRole, "Delete a role. Its orders and certificates stay.", "delete", "role", nil)),
			},
			HelpSynopsis:    "A role binds a name to a CERTInext product, and constrains names and keys.",
			HelpDescription: roleHelp,
		},
	}
}

var roleFields = slices.Concat([]binding[backend.Role]{
	text("product_code", "Product to order, a code from the account's catalog. The same code is another product in another environment.", func(r *backend.Role) *string { return &r.ProductCode }),
	text("product_variant", "Kind of the product, e.g. dv, ov-ucc, ev, intranet-ssl, natural-person; found in the catalog when empty.", func(r *backend.Role) *string { return &r.Variant }),
	word("family", "Product family: ssl, private-pki, signature or smime; follows from the variant, and may be left out.", func(r *backend.Role) *backend.Family { return &r.Family }),
	word("dcv_method", "How domains are validated: dns-txt, http-url or email.", func(r *backend.Role) *backend.DCVMethod { return &r.DCVMethod }),
	number("validity_years", "Length of the subscription, 1 to 3 years. It is not the life of the certificate, which CERTInext sets.", func(r *backend.Role) *int { return &r.ValidityYears }),
	flag("auto_renew", "Let CERTInext renew the subscription by itself, at a cost.", func(r *backend.Role) *bool { return &r.AutoRenew }),
	number("renew_before_days", "Days before its end that CERTInext renews the subscription.", func(r *backend.Role) *int { return &r.RenewBeforeDays }),
	flag("auto_secure_www", "Have CERTInext add www.<common name>. The role has to allow that name, too.", func(r *backend.Role) *bool { return &r.AutoSecureWWW }),
	pairs("custom_fields", "Values of the product's custom fields, by field id.", func(r *backend.Role) *map[string]string { return &r.CustomFields }),
	texts("tags", "Tags of orders, each name:value; CERTInext's reports show them.", func(r *backend.Role) *[]string { return &r.Tags }),
	text("remarks", "Remarks on orders; CERTInext's portal shows them.", func(r *backend.Role) *string { return &r.Remarks }),
	texts("recipient_emails", "Addresses that CERTInext mails the certificate to.", func(r *backend.Role) *[]string { return &r.RecipientEmails }),
	pairs("subject", "For document signers and S/MIME: whom certificates are for, as name=value; identity templates are filled in. Names: "+strings.Join(backend.SubjectFields(), ", ")+".", func(r *backend.Role) *map[string]string { return &r.Subject }),
	texts("allowed_subject_fields", "Fields of the subject that a request may fill in; * for all.", func(r *backend.Role) *[]string { return &r.AllowedSubjectFields }),
	flag("attested", "For document signers: vouch that the keys of CSRs come from attested hardware modules. Such a role only signs.", func(r *backend.Role) *bool { return &r.Attested }),
	text("ca_profile_id", "CA template of a private PKI product.", func(r *backend.Role) *string { return &r.CAProfileID }),
	text("master_product_id", "Subscription slot of a private PKI product.", func(r *backend.Role) *string { return &r.MasterProductID }),

	texts("allowed_domains", "Domains whose names may be ordered; how far they reach is said by the allow_ fields.", func(r *backend.Role) *[]string { return &r.AllowedDomains }),
	flag("allowed_domains_template", "Fill identity templates such as {{identity.entity.metadata.domain}} into allowed_domains.", func(r *backend.Role) *bool { return &r.AllowedDomainsTemplate }),
	flag("allow_bare_domains", "Allow the allowed domains themselves.", func(r *backend.Role) *bool { return &r.AllowBareDomains }),
	flag("allow_subdomains", "Allow names below the allowed domains.", func(r *backend.Role) *bool { return &r.AllowSubdomains }),
	flag("allow_glob_domains", "Allow * anywhere in allowed_domains to match any characters.", func(r *backend.Role) *bool { return &r.AllowGlobDomains }),
	flag("allow_wildcard_certificates", "Allow wildcard names, where the other rules and the product do.", func(r *backend.Role) *bool { return &r.AllowWildcardCertificates }),
	flag("allow_any_name", "Allow every host name.", func(r *backend.Role) *bool { return &r.AllowAnyName }),
	flag("allow_ip_sans", "Allow IP addresses, for private PKI products.", func(r *backend.Role) *bool { return &r.AllowIPSANs }),
	flag("require_cn", "Refuse requests without a common name. CERTInext calls it the order's domain; without one, the first of alt_names is. A CSR always needs one.", func(r *backend.Role) *bool { return &r.RequireCN }),
	text("key_type", "Key that is generated, and that CSRs must have: ec or rsa; any for a role that only signs.", func(r *backend.Role) *string { return &r.Key.Type }),
	number("key_bits", "Size of the key: 256 or 384 for ec, 2048, 3072 or 4096 for rsa; the smallest when 0.", func(r *backend.Role) *int { return &r.Key.Bits }),

	seconds("renewal_window", "How long before its end a certificate may be renewed by renew/<role>/<serial>; any time when 0.", func(r *backend.Role) *time.Duration { return &r.RenewalWindow }),
	flag("allow_reissue", "Let orders/<role>/<id>/reissue have CERTInext make further certificates within an order. What that costs is not documented.", func(r *backend.Role) *bool { return &r.AllowReissue }),
	flag("rekey_orders", "When sign gets a CSR with a new key, for the names of an order whose certificate its requester has not got yet, have CERTInext reissue that order's certificate for the new key instead of placing another order: for clients such as cert-manager, which make a new key when an order takes too long. What a reissue costs is not documented.", func(r *backend.Role) *bool { return &r.RekeyOrders }),
	seconds("issue_timeout", "How long issue and sign wait for their order before they answer that it is not finished. The order goes on, and the same request finds it again.", func(r *backend.Role) *time.Duration { return &r.IssueTimeout }),
	seconds("delivery_grace", "How long an order keeps its private key after its latest answer, so that a caller whom the answer did not reach can have it again, by its request_id or by orders/<role>/<id>/collect. Between 0s and 1h. Where reuse_window is longer, the key is kept as long as that.", func(r *backend.Role) *time.Duration { return &r.DeliveryGrace }),
	reuseWindow(),
	seconds("pickup_window", "How long a certificate that nobody has got yet waits to be fetched, because it was issued after its request had ended. Its private key is erased then.", func(r *backend.Role) *time.Duration { return &r.PickupWindow }),
	flag("revoke_unclaimed", "Revoke certificates that nobody has fetched within pickup_window.", func(r *backend.Role) *bool { return &r.RevokeUnclaimed }),
	flag("generate_lease", "Tie certificates to leases: the end of the last lease on a certificate revokes it. A lease ends with the token that asked for it, too. Vault keeps the answer, private key included, in its lease store.", func(r *backend.Role) *bool { return &r.GenerateLease }),
	seconds("ttl", "Life of leases; the certificate's remaining life when 0.", func(r *backend.Role) *time.Duration { return &r.TTL }),
	seconds("max_ttl", "Longest life of leases, by renewal; the certificate's remaining life when 0.", func(r *backend.Role) *time.Duration { return &r.MaxTTL }),
}, pkiOnly[backend.Role](), dnsValidation(func(r *backend.Role) *backend.DNSValidation { return &r.DNS }), orderDefaults(func(r *backend.Role) *backend.OrderDefaults { return &r.OrderDefaults }))

// reuseWindow follows delivery_grace until it is written.
func reuseWindow() binding[backend.Role] {
	return binding[backend.Role]{
		name: "reuse_window", kind: framework.TypeSignedDurationSecond,
		help: "How long after an answer the same request by the same requester is answered with the same certificate and key, and reused: true, instead of buying another certificate: for clients that repeat what has succeeded, such as an agent whose template fails. The window begins anew with every answer and ends 24h after the first; the private key is kept as long, seal-wrapped. At most 24h; the delivery_grace until it is written. 0 turns it off, for clients that replace a certificate and then revoke the old one, such as Terraform; requests in flight at the same time share an order all the same.",
		get: func(r *backend.Role) any {
			if r.ReuseWindow == nil {
				return int64(r.DeliveryGrace / time.Second)
			}
			return int64(*r.ReuseWindow / time.Second)
		},
		set: func(r *backend.Role, v any) {
			window := time.Duration(v.(int)) * time.Second
			r.ReuseWindow = &window
		},
	}
}

func (b *secretsBackend) listRoles(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := b.engine.Roles(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *secretsBackend) readRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	r, err := b.engine.Role(ctx, req.Storage, d.Get("name").(string))
	if err != nil || r == nil {
		return nil, err
	}
	return &logical.Response{Data: read(roleFields, r)}, nil
}

func (b *secretsBackend) writeRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return b.setRole(ctx, req, d, false)
}

func (b *secretsBackend) patchRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return b.setRole(ctx, req, d, true)
}

func (b *secretsBackend) setRole(ctx context.Context, req *logical.Request, d *framework.FieldData, patch bool) (*logical.Response, error) {
	warnings, err := b.engine.WriteRole(ctx, req.Storage, d.Get("name").(string), patch, func(r *backend.Role) error {
		return write(roleFields, d, r)
	})
	if err != nil || len(warnings) == 0 {
		return nil, err
	}
	return &logical.Response{Warnings: warnings}, nil
}

func (b *secretsBackend) deleteRole(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return nil, b.engine.DeleteRole(ctx, req.Storage, d.Get("name").(string))
}

const roleHelp = `
A role names a product of the account's catalog and says which names and keys may be ordered under it. The constraints
have the names and meanings of Vault's PKI engine; nothing is allowed by default.

Whenever a role is written, its product is looked up in the catalog (see catalog/products): a code that is not there, another
kind than product_variant says, and custom_fields that the product does not take are refused. While CERTInext does not answer, a
role that says its product_variant is written, with a warning.

A role's requestor, technical contact, delegation and signer each take the place of the config's as a whole. One of which it says nothing is
taken from the config, and so are organization and group.

A role for a document signer or S/MIME names no domains: subject says whom its certificates are for, with values or with identity
templates such as email={{identity.entity.metadata.email}}. A field that a request may fill in stands in allowed_subject_fields.

A role with generate_lease revokes its certificates when their leases end. A lease ends with its token, too: when that expires or is
revoked, or its use limit is reached. Clients that never renew leases, such as pkiCert templates and Terraform, want a role with
generate_lease=false.

The same request by the same requester is one purchase: while its order is in flight, and for reuse_window after each answer. A client that
replaces a certificate and then revokes the old one wants a role with reuse_window=0: it would otherwise be answered with the certificate that it is
about to revoke.
`
