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
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listRoles,
					"List the roles.",
					"list", "roles", keysField("Names of the roles.")),
			},
			HelpSynopsis:    "List the roles.",
			HelpDescription: "Lists the names of the roles of this mount.",
		},
		{
			Pattern: "roles/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(roleFields, backend.NewRole(""))),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readRole,
					"Read a role.",
					"read", "role", readable(roleFields)),
				logical.UpdateOperation: warned(silent(writing(b.writeRole,
					"Write a role. Fields that are omitted get their defaults.",
					"write", "role", nil))),
				logical.PatchOperation: warned(silent(writing(b.patchRole,
					"Change some fields of a role.",
					"patch", "role", nil))),
				logical.DeleteOperation: silent(writing(b.deleteRole,
					"Delete a role. Its orders and certificates stay.",
					"delete", "role", nil)),
			},
			HelpSynopsis: "A role binds a name to a CERTInext product, and constrains names and " +
				"keys.",
			HelpDescription: roleHelp,
		},
	}
}

var roleFields = slices.Concat([]binding[backend.Role]{
	text("product_code",
		"Code of the product to order, from the account's catalog. The same code may be another "+
			"product in another environment.",
		func(r *backend.Role) *string { return &r.ProductCode }),
	text("product_variant",
		"Kind of the product, e.g. dv, ov-ucc, ev, intranet-ssl, natural-person; looked up in "+
			"the catalog when empty.",
		func(r *backend.Role) *string { return &r.Variant }),
	word("family",
		"Product family: ssl, private-pki, signature or smime; follows from product_variant, and "+
			"may be omitted.",
		func(r *backend.Role) *backend.Family { return &r.Family }),
	word("dcv_method",
		"How domains are validated: dns-txt, http-url or email. Wildcard products have no "+
			"challenge for http-url.",
		func(r *backend.Role) *backend.DCVMethod { return &r.DCVMethod }),
	number("validity_years",
		"Length of the subscription, 1 to 3 years. This is not the validity of the certificate, "+
			"which CERTInext sets.",
		func(r *backend.Role) *int { return &r.ValidityYears }),
	flag("auto_renew",
		"Let CERTInext renew each certificate by itself, for the same key, at a cost. Nothing is "+
			"bought beside that: from when a certificate is due for its renewal, the same "+
			"requester's request for its names is answered with what CERTInext has made, if "+
			"that has the key of its csr or one that reuse=true has kept, and is refused "+
			"otherwise. force_new=true buys, and so does half of renew_before_days before the "+
			"end, when CERTInext has made nothing.",
		func(r *backend.Role) *bool { return &r.AutoRenew }),
	number("renew_before_days",
		"How many days before its end CERTInext renews a certificate, and not before the middle "+
			"of its life; 30 when 0.",
		func(r *backend.Role) *int { return &r.RenewBeforeDays }),
	flag("auto_secure_www",
		"Have CERTInext add www.<common name>. The role must allow that name, too.",
		func(r *backend.Role) *bool { return &r.AutoSecureWWW }),
	pairs("custom_fields",
		"Values of the product's custom fields, by field id.",
		func(r *backend.Role) *map[string]string { return &r.CustomFields }),
	texts("tags",
		"Tags of orders, each as name:value; shown in CERTInext's reports.",
		func(r *backend.Role) *[]string { return &r.Tags }),
	text("remarks",
		"Remarks on orders; shown in CERTInext's portal.",
		func(r *backend.Role) *string { return &r.Remarks }),
	texts("requester_in",
		"Where orders tell CERTInext who asked for them: remarks, tags, field:<id> (a custom "+
			"field of the product), or several; none when empty. It is the name of the identity "+
			"entity, or else the token's display name, and the owner that the request named.",
		func(r *backend.Role) *[]string { return &r.RequesterIn }),
	texts("recipient_emails",
		"Email addresses to which CERTInext sends the certificate.",
		func(r *backend.Role) *[]string { return &r.RecipientEmails }),
	pairs("subject",
		"For document signers and S/MIME: the subject of certificates, as name=value; identity "+
			"templates are expanded. Names: "+strings.Join(backend.SubjectFields(), ", ")+".",
		func(r *backend.Role) *map[string]string { return &r.Subject }),
	texts("allowed_subject_fields",
		"Subject fields that a request may set; * for all.",
		func(r *backend.Role) *[]string { return &r.AllowedSubjectFields }),
	flag("attested",
		"For document signers: declare that the keys of CSRs come from attested hardware "+
			"modules. Such a role only signs.",
		func(r *backend.Role) *bool { return &r.Attested }),
	text("ca_profile_id",
		"CA template of a private PKI product.",
		func(r *backend.Role) *string { return &r.CAProfileID }),
	text("master_product_id",
		"Subscription slot of a private PKI product.",
		func(r *backend.Role) *string { return &r.MasterProductID }),

	texts("allowed_domains",
		"Domains for which certificates may be ordered; the allow_ fields determine which of "+
			"their names.",
		func(r *backend.Role) *[]string { return &r.AllowedDomains }),
	flag("allowed_domains_template",
		"Expand identity templates such as {{identity.entity.metadata.domain}} in allowed_domains.",
		func(r *backend.Role) *bool { return &r.AllowedDomainsTemplate }),
	flag("allow_bare_domains",
		"Allow the allowed domains themselves.",
		func(r *backend.Role) *bool { return &r.AllowBareDomains }),
	flag("allow_subdomains",
		"Allow names below the allowed domains.",
		func(r *backend.Role) *bool { return &r.AllowSubdomains }),
	flag("allow_glob_domains",
		"Allow * anywhere in allowed_domains, where it matches any characters.",
		func(r *backend.Role) *bool { return &r.AllowGlobDomains }),
	flag("allow_wildcard_certificates",
		"Allow wildcard names, where the other constraints and the product do.",
		func(r *backend.Role) *bool { return &r.AllowWildcardCertificates }),
	flag("allow_any_name",
		"Allow any host name.",
		func(r *backend.Role) *bool { return &r.AllowAnyName }),
	flag("allow_ip_sans",
		"Allow IP addresses, for private PKI products.",
		func(r *backend.Role) *bool { return &r.AllowIPSANs }),
	flag("require_cn",
		"Refuse requests without a common name, which CERTInext calls the order's domain. If "+
			"such requests are allowed, the first of alt_names takes its place. A CSR always "+
			"needs a common name.",
		func(r *backend.Role) *bool { return &r.RequireCN }),
	number("max_names",
		"How many names a certificate may have, the common name and IP addresses included; any "+
			"number when 0. Products for several names may cost more with each of them.",
		func(r *backend.Role) *int { return &r.MaxNames }),
	text("key_type",
		"Type of the generated key, and of the keys of CSRs: ec or rsa; any for a role that only "+
			"signs.",
		func(r *backend.Role) *string { return &r.Key.Type }),
	number("key_bits",
		"Size of the key: 256 or 384 for ec; 2048, 3072 or 4096 for rsa; the smallest when 0.",
		func(r *backend.Role) *int { return &r.Key.Bits }),

	word("trust",
		"What becomes of a certificate that clients refuse, by the keys and roots of "+
			"config/trust: warn (it is handed over with a warning) or refuse (it is held until "+
			"an operator releases it).",
		func(r *backend.Role) *backend.Trust { return &r.Trust }),
	word("renewal",
		"How a certificate is succeeded, by renew and by issue and sign for names that the "+
			"requester had a certificate for: order (by a new order) or reissue (within the "+
			"subscription that its order has bought, while that lasts, and then by a new order). "+
			"What a reissue costs is not documented: when CERTInext's ledger shows that it "+
			"charged for one, the role goes back to new orders until an operator allows "+
			"reissues again.",
		func(r *backend.Role) *backend.RenewBy { return &r.Renewal }),
	word("renew_ahead",
		"How long before its renewal is due (renew_after) the background pass makes a "+
			"certificate's successor, so that the next request of the same requester for the same "+
			"names is answered at once: a share of the certificate's life such as 10%, or a "+
			"duration such as 240h, and a third of the life at most. Off when empty. For sign, "+
			"whose key is the requester's, it has the domains validated by the role's dcv_solver. "+
			"Nothing is made ahead for a requester without an identity entity, nor after a "+
			"request with a request_id of its own.",
		func(r *backend.Role) *backend.Ahead { return &r.RenewAhead }),
	seconds("renew_ahead_for",
		"How long after the latest answer that held a certificate its successor is made ahead; "+
			"as long as the certificate lives when 0.",
		func(r *backend.Role) *time.Duration { return &r.RenewAheadFor }),
	flag("replace_revoked",
		"Make another certificate, by a new order, in the place of one that CERTInext has revoked "+
			"by itself, as soon as a synchronization has seen that (sync_interval of the config): "+
			"the next request of the same requester for the same names is answered with it at "+
			"once. Not for what was revoked here, nor for the reasons cessation-of-operation and "+
			"affiliation-changed, which a person gives. For sign, whose key is the requester's, "+
			"it has the domains validated. Budgets and approvals hold. Nothing is made for a "+
			"requester without an identity entity.",
		func(r *backend.Role) *bool { return &r.ReplaceRevoked }),
	seconds("renewal_window",
		"How long before its end a certificate may be renewed by renew/<role>/<serial>; at any "+
			"time when 0.",
		func(r *backend.Role) *time.Duration { return &r.RenewalWindow }),
	seconds("revoke_replaced_after",
		"How long after its replacement was handed over a certificate is revoked, for the reason "+
			"superseded: one that was renewed by a new order, through renew, or through issue "+
			"and sign for the same names when it was due. Never while one of its leases runs, "+
			"and never one whose replacement is of the same CERTInext order. At least 1m; 0, the "+
			"default, leaves replaced certificates valid.",
		func(r *backend.Role) *time.Duration { return &r.RevokeReplacedAfter }),
	flag("allow_reissue",
		"Allow orders/<role>/<id>/reissue, which has CERTInext issue further certificates within "+
			"an order. What that costs is not documented.",
		func(r *backend.Role) *bool { return &r.AllowReissue }),
	flag("rekey_orders",
		"When sign receives a CSR with a new key, for the names of an order whose certificate "+
			"its requester has not received yet, have CERTInext reissue that order's certificate "+
			"for the new key instead of placing another order. This is for clients such as "+
			"cert-manager, which generate a new key when an order takes too long. What a reissue "+
			"costs is not documented.",
		func(r *backend.Role) *bool { return &r.RekeyOrders }),
	word("order_access",
		"Who may cancel, promote, reissue, renew and revoke what was ordered under the role, and "+
			"upload documents for it: requester (the requester that placed the order) or role "+
			"(whoever may use the role's paths). Operators may through operator/orders and revoke.",
		func(r *backend.Role) *backend.OrderAccess { return &r.OrderAccess }),
	flag("require_approval",
		"Have each order wait in Vault until another identity entity than the requester's "+
			"approves it at approvals/<role>/<id>. Nothing is sent to CERTInext before.",
		func(r *backend.Role) *bool { return &r.RequireApproval }),
	seconds("approval_timeout",
		"How long an order waits to be approved. Then it is over, and its private key is erased. "+
			"Between 1m and 720h.",
		func(r *backend.Role) *time.Duration { return &r.ApprovalTimeout }),
	number("max_unapproved",
		"How many orders of the role wait to be approved at a time, from 1 to 10000, and those "+
			"of one requester half as many. A further one is refused.",
		func(r *backend.Role) *int { return &r.MaxUnapproved }),
	seconds("issue_timeout",
		"How long issue and sign wait for their order before they answer that it is not "+
			"finished. The order continues, and the same request finds it again.",
		func(r *backend.Role) *time.Duration { return &r.IssueTimeout }),
	seconds("delivery_grace",
		"How long an order keeps its private key after its latest answer, so that a caller that "+
			"did not receive the answer can fetch it again, by its request_id or by "+
			"orders/<role>/<id>/collect. Between 0s and 1h. A longer reuse_window keeps the key "+
			"as long as that.",
		func(r *backend.Role) *time.Duration { return &r.DeliveryGrace }),
	clientFlag(),
	reuseWindow(),
	flag("reuse",
		"Answer issue and sign beyond the reuse_window, too, with the certificate that the same "+
			"identity entity's same request has bought, until two thirds of its life, less up "+
			"to a twentieth, which is its renew_after, or earlier than that for one that was "+
			"made ahead: by then its successor is begun. The private key that the engine has "+
			"made rests in storage for as long, sealed; with auto_renew, as long as the "+
			"certificate is valid. Tokens without an entity, and requests with a request_id, "+
			"are not answered so; force_new buys another certificate.",
		func(r *backend.Role) *bool { return &r.Reuse }),
	seconds("reuse_for",
		"With reuse: how long after it was issued a certificate is reused and its key kept, at "+
			"most; until it is to be renewed when 0.",
		func(r *backend.Role) *time.Duration { return &r.ReuseFor }),
	seconds("pickup_window",
		"How long a certificate that was issued after its request had ended waits to be fetched. "+
			"Its private key is erased then.",
		func(r *backend.Role) *time.Duration { return &r.PickupWindow }),
	flag("revoke_unclaimed",
		"Revoke certificates that were not fetched within pickup_window.",
		func(r *backend.Role) *bool { return &r.RevokeUnclaimed }),
	flag("generate_lease",
		"Tie certificates to leases: when the last lease on a certificate ends, the certificate "+
			"is revoked. A lease also ends with the token that requested it. Vault keeps the "+
			"answer, including the private key, in its lease store.",
		func(r *backend.Role) *bool { return &r.GenerateLease }),
	seconds("revocation_delay",
		"How long a certificate stays valid after its last lease has ended. When the same "+
			"requester sends the same request within that time, it takes the certificate over, "+
			"with a new lease, instead of buying another: for sign with a CSR of the same key, "+
			"for issue while the order keeps its private key (reuse_window, delivery_grace). "+
			"Revoking by request is never delayed. At most 168h; 0 revokes at once.",
		func(r *backend.Role) *time.Duration { return &r.RevocationDelay }),
	seconds("ttl",
		"TTL of leases; the certificate's remaining validity when 0.",
		func(r *backend.Role) *time.Duration { return &r.TTL }),
	seconds("max_ttl",
		"Maximum TTL of leases, including renewals; the certificate's remaining validity when 0.",
		func(r *backend.Role) *time.Duration { return &r.MaxTTL }),
}, pkiOnly[backend.Role](),
	dnsValidation(func(r *backend.Role) *backend.DNSValidation { return &r.DNS }),
	orderDefaults(func(r *backend.Role) *backend.OrderDefaults { return &r.OrderDefaults }))

// reuseWindow is the field reuse_window, which has the value of delivery_grace until it is written.
func reuseWindow() binding[backend.Role] {
	return binding[backend.Role]{
		name: "reuse_window", kind: framework.TypeSignedDurationSecond,
		help: "How long after an answer the same request from the same requester is answered " +
			"with the same certificate and key, and reused: true, instead of buying another " +
			"certificate. This is for clients that repeat what has succeeded, such as an agent " +
			"whose template fails. The window begins again with every answer and ends 24h after " +
			"the first; the private key is kept as long, seal-wrapped. At most 24h; the same as " +
			"delivery_grace until it is written. 0 turns it off, for clients that replace a " +
			"certificate and then revoke the old one, such as Terraform; requests in flight at " +
			"the same time share an order even then.",
		get: func(r *backend.Role) any {
			if r.ReuseWindow == nil {
				return int64(r.DeliveryGrace / time.Second)
			}
			return int64(*r.ReuseWindow / time.Second)
		},
		reset: as(func(r *backend.Role) **time.Duration { return &r.ReuseWindow }),
		set: func(r *backend.Role, v any) {
			window := time.Duration(v.(int)) * time.Second
			r.ReuseWindow = &window
		},
	}
}

func (b *secretsBackend) listRoles(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	names, err := b.engine.Roles(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(listed(names, d)), nil
}

func (b *secretsBackend) readRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := b.engine.Role(ctx, req.Storage, d.Get("name").(string))
	if err != nil || r == nil {
		return nil, err
	}
	return &logical.Response{Data: read(roleFields, r)}, nil
}

func (b *secretsBackend) writeRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return b.setRole(ctx, req, d, false)
}

func (b *secretsBackend) patchRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return b.setRole(ctx, req, d, true)
}

func (b *secretsBackend) setRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData, patch bool,
) (*logical.Response, error) {
	warnings, err := b.engine.WriteRole(ctx, req.Storage, d.Get("name").(string), patch,
		func(r *backend.Role) error {
			return write(roleFields, d, r, backend.NewRole(r.Name))
		})
	if err != nil || len(warnings) == 0 {
		return nil, err
	}
	return &logical.Response{Warnings: warnings}, nil
}

func (b *secretsBackend) deleteRole(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.DeleteRole(ctx, req.Storage, d.Get("name").(string))
}

const roleHelp = `
A role names a product of the account's catalog, and determines which names and keys may be
ordered under it. The constraints have the names and meanings of those of Vault's PKI engine;
nothing is allowed by default.

Whenever a role is written, its product is looked up in the catalog (see catalog/products). A code
that is not there, another kind than product_variant says, and custom_fields that the product does
not take are refused. If CERTInext does not answer, a role that sets product_variant is written
nevertheless, with a warning.

A role under which nothing could ever be ordered is refused: an identity template that has a value
for nobody, or a publicly trusted product for names such as corp.internal only. A domain of that
kind among others is warned of. A patch is refused for what it changes; what was stored before and
is wrong is warned of.

A role's requestor, technical contact, delegation and signer each replace those of the config as a
whole. Any of them that the role does not set is taken from the config, and so are organization
and group. A consent_token has to be given again when organization_number changes: it is dropped
otherwise, with a warning.

A role for a document signer or S/MIME has no domains: its subject says whom its certificates are
for, with values or with identity templates such as email={{identity.entity.metadata.email}}.
allowed_subject_fields lists the fields that a request may set.

A role with generate_lease revokes its certificates when their leases end. A lease also ends with
its token: when that expires, is revoked, or reaches its use limit. Clients that never renew
leases, such as pkiCert templates and Terraform, need a role with generate_lease=false. With a
revocation_delay, a client that comes back in time with the same request gets its certificate again.

The same request from the same requester is one purchase: while its order is in flight, and for
reuse_window after each answer. A client that replaces a certificate and then revokes the old one
needs a role with reuse_window=0: it would otherwise be answered with the certificate that it is
about to revoke.
`
