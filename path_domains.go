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
		"name": {Type: framework.TypeString, Description: "Name of the domain. It covers the names below it, too, where the account allows that.", Required: true},
	}
	return []*framework.Path{
		{
			Pattern: "domains/?$",
			Fields: merge(windowFields(), map[string]*framework.FieldSchema{
				"search":              {Type: framework.TypeString, Description: "Domains whose names hold this.", Query: true},
				"exact":               {Type: framework.TypeBool, Description: "Only the domain that search names.", Query: true},
				"status":              {Type: framework.TypeString, Description: "Domains of this status: ACTIVE, INACTIVE or EXPIRED.", Query: true},
				"dcv_status":          {Type: framework.TypeString, Description: "Domains whose validation is in this status: PENDING, VERIFIED, REJECTED or EXPIRED.", Query: true},
				"organization_number": {Type: framework.TypeString, Description: "Domains of this organization.", Query: true},
				"group_number":        {Type: framework.TypeString, Description: "Domains of this billing group; of all when empty. Version 1 of the API cannot tell them apart.", Query: true},
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.readDomains, "Read the registered domains.", "read", "domains", pageFields("domains",
					"Domains by name, each with domain_id, domain, organization_number, organization_name, status, dcv_status, dcv_method, created_at, verified_at and valid_till; times are RFC 3339, and empty when not told.")),
				logical.ListOperation: operation(b.listDomains, "List the domains that this mount looks after.", "list", "domains", keysField("Names of the domains.")),
			},
			HelpSynopsis:    "The domains that the account registered.",
			HelpDescription: "Reading shows what the account has: while a domain is validated (dcv_status VERIFIED, until valid_till), orders for it need no validation of their own. The same name may stand under two organizations. Listing shows the names of those that domains/<name> was written for.",
		},
		{
			Pattern: "domains/" + framework.GenericNameRegex("name") + "/verify$",
			Fields:  name,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.verifyDomain, "Have the domain validated now.", "verify", "domain", domainStateFields()),
			},
			HelpSynopsis:    "Have CERTInext look for what proves control of a domain.",
			HelpDescription: "A domain that has a solver is validated by it. For any other one, CERTInext looks for what domains/<name> says to publish.",
		},
		{
			Pattern: "domains/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(domainFields, backend.NewRegistration(""))),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation:   writing(b.readDomain, "Show a domain that this mount looks after.", "read", "domain", domainStateFields()),
				logical.UpdateOperation: writing(b.registerDomain, "Add a domain to the account and have it validated.", "register", "domain", domainStateFields()),
				logical.DeleteOperation: silent(writing(b.forgetDomain, "Stop looking after a domain. The account keeps it.", "forget", "domain", nil)),
			},
			HelpSynopsis:    "A domain that is validated ahead of any order.",
			HelpDescription: domainHelp,
		},
	}
}

var domainFields = slices.Concat([]binding[backend.Registration]{
	text("organization_number", "Organization that the domain is validated for; the config's when empty.", func(r *backend.Registration) *string { return &r.OrganizationNumber }),
	word("dcv_method", "How the domain is validated: dns-txt, http-url or email.", func(r *backend.Registration) *backend.DCVMethod { return &r.Method }),
	flag("keep_validated", "Validate the domain anew in the background, before its validation runs out. Needs a dcv_solver.", func(r *backend.Registration) *bool { return &r.Keep }),
	seconds("renew_before", "How long before the end of its validation keep_validated has the domain validated anew.", func(r *backend.Registration) *time.Duration { return &r.RenewBefore }),
}, dnsValidation(func(r *backend.Registration) *backend.DNSValidation { return &r.DNS }))

func domainStateFields() map[string]*framework.FieldSchema {
	return merge(readable(domainFields), map[string]*framework.FieldSchema{
		"domain":     {Type: framework.TypeString, Description: "Name of the domain."},
		"validated":  {Type: framework.TypeBool, Description: "Whether orders for it need no validation of their own."},
		"valid_till": {Type: framework.TypeString, Description: "Until when, RFC 3339; empty when CERTInext does not tell."},
		"domain_id":  {Type: framework.TypeString, Description: "CERTInext's id of the domain."},
		"status":     {Type: framework.TypeString, Description: "ACTIVE, INACTIVE or EXPIRED, in CERTInext's words."},
		"dcv_status": {Type: framework.TypeString, Description: "PENDING, VERIFIED or REJECTED, in CERTInext's words."},
		"challenge":  {Type: framework.TypeMap, Description: "What to publish, where that is done by hand: dns_names, dns_value, http_url, http_path, http_content, email_to, expires, error."},
		"needs":      {Type: framework.TypeStringSlice, Description: "What the solver waits for."},
		"last_error": {Type: framework.TypeString, Description: "Why the last attempt to validate it did not work."},
		"next_at":    {Type: framework.TypeString, Description: "When the background pass looks at it again, RFC 3339; empty when it does not."},
	})
}

func (b *secretsBackend) listDomains(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	names, err := b.engine.Domains.List(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(names), nil
}

func (b *secretsBackend) registerDomain(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	state, err := b.engine.Domains.Register(ctx, req.Storage, d.Get("name").(string), func(r *backend.Registration) error {
		return write(domainFields, d, r)
	})
	return domainResponse(state), err
}

func (b *secretsBackend) readDomain(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	state, err := b.engine.Domains.Domain(ctx, req.Storage, d.Get("name").(string))
	return domainResponse(state), err
}

func (b *secretsBackend) verifyDomain(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	state, err := b.engine.Domains.Verify(ctx, req.Storage, d.Get("name").(string))
	return domainResponse(state), err
}

func (b *secretsBackend) forgetDomain(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return nil, b.engine.Domains.Forget(ctx, req.Storage, d.Get("name").(string))
}

func domainResponse(s *backend.DomainState) *logical.Response {
	if s == nil {
		return nil
	}
	data := read(domainFields, &s.Registration)
	data["domain"], data["validated"], data["last_error"] = s.Name, s.Validated, s.LastError
	data["needs"], data["next_at"] = append([]string{}, s.Needs...), rfc3339(s.NextAt)
	if s.Domain != nil {
		data["domain_id"], data["status"], data["dcv_status"] = s.Domain.ID, s.Domain.Status, s.Domain.DCVStatus
		data["valid_till"] = rfc3339(s.Domain.ValidTill)
	}
	if s.Challenge != nil {
		data["challenge"] = encodeChallenge(*s.Challenge)
	}
	return &logical.Response{Data: data}
}

func (b *secretsBackend) readDomains(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	page, err := b.engine.Account.Domains(ctx, req.Storage, backend.DomainFilter{
		Search: d.Get("search").(string), Exact: d.Get("exact").(bool), Status: d.Get("status").(string),
		DCVStatus: d.Get("dcv_status").(string), OrganizationID: d.Get("organization_number").(string),
		GroupNumber: d.Get("group_number").(string),
	}, window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("domains", page, encodeDomain), nil
}

func encodeDomain(d backend.Domain) map[string]any {
	return map[string]any{
		"domain_id": d.ID, "domain": d.Name, "organization_number": d.OrganizationID, "organization_name": d.OrganizationName,
		"status": d.Status, "dcv_status": d.DCVStatus, "dcv_method": d.DCVMethod, "created_at": rfc3339(d.CreatedAt),
		"verified_at": rfc3339(d.VerifiedAt), "valid_till": rfc3339(d.ValidTill),
	}
}

const domainHelp = `
Writing adds the domain to the account, if it is not there, and has it validated, so that issue need not do that. With a dcv_solver
this is done within the request, as far as that lasts; writing again, or domains/<name>/verify, goes on with it. Without one, challenge says
what to publish, and domains/<name>/verify has CERTInext look for it.

keep_validated=true validates it anew in the background, renew_before before its validation runs out (some 200 days), so that issue stays a
matter of seconds.

Version 1 of the API can list domains only.
`
