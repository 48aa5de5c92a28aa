// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathDomains() []*framework.Path {
	name := map[string]*framework.FieldSchema{
		"name": {
			Type: framework.TypeString, Required: true,
			Description: "Name of the domain. It also covers the names below it, where the " +
				"account allows that.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "domains/?$",
			Fields: merge(windowFields(), map[string]*framework.FieldSchema{
				"search": {
					Type: framework.TypeString, Query: true,
					Description: "Only domains whose names contain this text.",
				},
				"exact": {
					Type: framework.TypeBool, Query: true,
					Description: "Only the domain whose name equals search.",
				},
				"status": {
					Type: framework.TypeString, Query: true,
					Description: "Only domains with this status: ACTIVE, INACTIVE or EXPIRED.",
				},
				"dcv_status": {
					Type: framework.TypeString, Query: true,
					Description: "Only domains whose validation has this status: PENDING, " +
						"VERIFIED, REJECTED or EXPIRED.",
				},
				"organization_number": {
					Type: framework.TypeString, Query: true,
					Description: "Only domains of this organization.",
				},
				"group_number": {
					Type: framework.TypeString, Query: true,
					Description: "Only domains of this billing group; those of all groups when " +
						"empty. Version 1 of the API does not distinguish groups.",
				},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readDomains,
					"Read the registered domains.",
					"read", "domains",
					pageFields("domains", domainsHelp)),
				logical.ListOperation: operation(b.listDomains,
					"List the domains that this mount manages.",
					"list", "domains", keysField("Names of the domains.")),
			},
			HelpSynopsis: "The domains that are registered in the account.",
			HelpDescription: "Reading shows the domains of the account. While a domain is " +
				"validated (dcv_status VERIFIED, until valid_till), orders for it need no " +
				"validation of their own. The same name may be registered for two organizations. " +
				"Listing shows the names of the domains that this mount manages: those that were " +
				"written to domains/<name>.",
		},
		{
			Pattern: "domains/" + framework.GenericNameRegex("name") + "/verify$",
			Fields:  name,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.verifyDomain,
					"Validate the domain now.",
					"verify", "domain", domainStateFields()),
			},
			HelpSynopsis: "Have CERTInext check the proof of control of a domain.",
			HelpDescription: "A domain with a solver is validated by means of the solver. For " +
				"any other domain, CERTInext looks for the challenge that domains/<name> shows.",
		},
		{
			Pattern: "domains/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(domainFields, backend.NewRegistration(""))),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readDomain,
					"Show a domain that this mount manages.",
					"read", "domain", domainStateFields()),
				logical.UpdateOperation: writing(b.registerDomain,
					"Add a domain to the account and have it validated.",
					"register", "domain", domainStateFields()),
				logical.DeleteOperation: silent(writing(b.forgetDomain,
					"Stop managing a domain. It stays registered in the account.",
					"forget", "domain", nil)),
			},
			HelpSynopsis:    "A domain that is validated before any order needs it.",
			HelpDescription: domainHelp,
		},
	}
}

var domainFields = slices.Concat([]binding[backend.Registration]{
	text("organization_number",
		"Organization that the domain is validated for; the config's when empty.",
		func(r *backend.Registration) *string { return &r.OrganizationNumber }),
	word("dcv_method",
		"How the domain is validated: dns-txt, http-url or email.",
		func(r *backend.Registration) *backend.DCVMethod { return &r.Method }),
	flag("keep_validated",
		"Revalidate the domain in the background before its validation expires. Requires "+
			"dcv_solver.",
		func(r *backend.Registration) *bool { return &r.Keep }),
	seconds("renew_before",
		"How long before its validation expires the domain is revalidated, with keep_validated.",
		func(r *backend.Registration) *time.Duration { return &r.RenewBefore }),
}, dnsValidation(func(r *backend.Registration) *backend.DNSValidation { return &r.DNS }))

func domainStateFields() map[string]*framework.FieldSchema {
	return merge(readable(domainFields), map[string]*framework.FieldSchema{
		"domain": {Type: framework.TypeString, Description: "Name of the domain."},
		"validated": {
			Type: framework.TypeBool,
			Description: "Whether the domain is validated, so that orders for it need no " +
				"validation of their own.",
		},
		"valid_till": {
			Type: framework.TypeString,
			Description: "Until when it is validated, in RFC 3339; empty when CERTInext does not " +
				"report it.",
		},
		"domain_id": {Type: framework.TypeString, Description: "CERTInext's id of the domain."},
		"status": {
			Type:        framework.TypeString,
			Description: "ACTIVE, INACTIVE or EXPIRED, in CERTInext's words.",
		},
		"dcv_status": {
			Type:        framework.TypeString,
			Description: "PENDING, VERIFIED or REJECTED, in CERTInext's words.",
		},
		"challenge": {
			Type: framework.TypeMap,
			Description: "What to publish when the domain is validated manually: dns_names, " +
				"dns_value, http_url, http_path, http_content, email_to, expires, error.",
		},
		"needs": {
			Type:        framework.TypeStringSlice,
			Description: "What the solver is waiting for.",
		},
		"last_error": {
			Type:        framework.TypeString,
			Description: "Why the last attempt to validate it failed.",
		},
		"kept_until": {
			Type: framework.TypeString,
			Description: "Until when the domain is kept validated for an order that is expected " +
				"by then (renew_ahead of a role), in RFC 3339; empty for a domain that was " +
				"registered here.",
		},
		"next_at": {
			Type: framework.TypeString,
			Description: "When the background pass looks at it next, in RFC 3339; empty when it " +
				"does not.",
		},
	})
}

func (b *secretsBackend) listDomains(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	names, err := b.engine.Domains.List(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *secretsBackend) registerDomain(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	state, err := b.engine.Domains.Register(ctx, req.Storage, d.Get("name").(string),
		func(r *backend.Registration) error {
			return write(domainFields, d, r, backend.NewRegistration(""))
		})
	return domainResponse(state), err
}

func (b *secretsBackend) readDomain(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	state, err := b.engine.Domains.Domain(ctx, req.Storage, d.Get("name").(string))
	return domainResponse(state), err
}

func (b *secretsBackend) verifyDomain(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	state, err := b.engine.Domains.Verify(ctx, req.Storage, d.Get("name").(string))
	return domainResponse(state), err
}

func (b *secretsBackend) forgetDomain(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.Domains.Forget(ctx, req.Storage, d.Get("name").(string))
}

func domainResponse(s *backend.DomainState) *logical.Response {
	if s == nil {
		return nil
	}
	data := read(domainFields, &s.Registration)
	data["domain"] = s.Name
	data["validated"] = s.Validated
	data["last_error"] = s.LastError
	data["needs"] = append([]string{}, s.Needs...)
	data["next_at"] = rfc3339(s.NextAt)
	data["kept_until"] = rfc3339(s.KeptUntil)
	if s.Domain != nil {
		data["domain_id"] = s.Domain.ID
		data["status"] = s.Domain.Status
		data["dcv_status"] = s.Domain.DCVStatus
		data["valid_till"] = rfc3339(s.Domain.ValidTill)
	}
	if s.Challenge != nil {
		data["challenge"] = encodeChallenge(*s.Challenge)
	}
	return &logical.Response{Data: data}
}

func (b *secretsBackend) readDomains(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := b.engine.Account.Domains(ctx, req.Storage, backend.DomainFilter{
		Search:         d.Get("search").(string),
		Exact:          d.Get("exact").(bool),
		Status:         d.Get("status").(string),
		DCVStatus:      d.Get("dcv_status").(string),
		OrganizationID: d.Get("organization_number").(string),
		GroupNumber:    d.Get("group_number").(string),
	}, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("domains", page, encodeDomain), nil
}

func encodeDomain(d backend.Domain) map[string]any {
	return map[string]any{
		"domain_id":           d.ID,
		"domain":              d.Name,
		"organization_number": d.OrganizationID,
		"organization_name":   d.OrganizationName,
		"status":              d.Status,
		"dcv_status":          d.DCVStatus,
		"dcv_method":          d.DCVMethod,
		"created_at":          rfc3339(d.CreatedAt),
		"verified_at":         rfc3339(d.VerifiedAt),
		"valid_till":          rfc3339(d.ValidTill),
	}
}

const domainsHelp = "Domains, each with domain_id, domain, organization_number, " +
	"organization_name, status, dcv_status, dcv_method, created_at, verified_at and " +
	"valid_till; times are in RFC 3339, and empty when CERTInext does not report them."

const domainHelp = `
Writing adds the domain to the account, if it is not there yet, and has it validated, so that
issue does not have to wait for that. With a dcv_solver, this is done within the request, as far
as its time allows; writing again, or writing domains/<name>/verify, continues it. Without a
solver, challenge says what to publish, and writing domains/<name>/verify has CERTInext look for
it.

With keep_validated=true, the domain is revalidated in the background, renew_before before its
validation expires (after some 200 days), so that issue remains a matter of seconds.

Version 1 of the API can only list domains.
`
