// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathConfig() []*framework.Path {
	verify := map[string]*framework.FieldSchema{
		"verify_connection": {
			Type: framework.TypeBool, Default: true,
			Description: "Ask CERTInext whether it accepts the credentials before they are stored.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "config$",
			Fields:  merge(schemas(configFields, new(backend.Config)), verify),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation:   operation(b.readConfig, "Read the CERTInext account, without its secrets.", "read", "configuration", readable(configFields)),
				logical.UpdateOperation: silent(writing(b.writeConfig, "Set the CERTInext account.", "configure", "configuration", nil)),
				logical.DeleteOperation: silent(writing(b.deleteConfig, "Forget the CERTInext account.", "delete", "configuration", nil)),
			},
			HelpSynopsis:    "The CERTInext account of this mount.",
			HelpDescription: configHelp,
		},
		{
			Pattern: "config/check$",
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.checkConfig, "Ask CERTInext who the account is and what it may order.", "check", "configuration", map[string]*framework.FieldSchema{
					"ok":             {Type: framework.TypeBool, Description: "Whether everything asked for was answered."},
					"account_number": {Type: framework.TypeString, Description: "Account that the credentials belong to."},
					"auth_type":      {Type: framework.TypeString, Description: "Kind of credential, in CERTInext's words."},
					"latency_ms":     {Type: framework.TypeInt64, Description: "Time that the identity call took, token exchange included, in milliseconds."},
					"products":       {Type: framework.TypeMap, Description: "Product codes that may be ordered, with name and variant."},
					"problems":       {Type: framework.TypeStringSlice, Description: "What is wrong, in plain words."},
				}),
			},
			HelpSynopsis:    "Check the account against CERTInext.",
			HelpDescription: "Reading this asks CERTInext who the account is, how long that takes, and which products it may order. An account that does not work is described in problems.",
		},
	}
}

var configFields = append([]binding[backend.Config]{
	text("base_url", "Address of the API, e.g. https://us-api.certinext.io. http is accepted for loopback hosts only.", func(c *backend.Config) *string { return &c.BaseURL }),
	text("api_version", "Version of the API: v2, or v1 for an account whose key is not in OAuth mode. Orders are the same in both; v2 when empty.", func(c *backend.Config) *string { return &c.APIVersion }),
	text("client_id", "OAuth client id. An account has either client_id and client_secret or account_number and access_key.", func(c *backend.Config) *string { return &c.ClientID }),
	hidden("client_secret", "OAuth client secret. Never read back.", func(c *backend.Config) *backend.Secret { return &c.ClientSecret }),
	text("account_number", "Account number that the access key belongs to.", func(c *backend.Config) *string { return &c.AccountNumber }),
	hidden("access_key", "Access key. Never read back.", func(c *backend.Config) *backend.Secret { return &c.AccessKey }),
	text("ca_certificate", "PEM bundle to verify the API's server certificate against, instead of the system's.", func(c *backend.Config) *string { return &c.CACertificate }),
	flag("trust_idempotency_key", "The service is known to answer a repeated Idempotency-Key with the first order. An order whose answer was lost is then asked for again by its key. The documented API promises that, the live one does not do it: when in doubt, leave it off.", func(c *backend.Config) *bool { return &c.TrustIdempotencyKey }),
	seconds("absent_after", "How much later than an order in doubt another one must have been placed, which CERTInext's records show, before the one that they do not show counts as never placed; 1h when 0. A request that waits for it then goes on with a new order.", func(c *backend.Config) *time.Duration { return &c.AbsentAfter }),
	text("ordering", "on or paused; on when empty. While it is paused, a request that would place an order, promote a draft or reissue a certificate is refused at once. Open orders, repeated requests for a certificate that is there, renewals of leases, and revocations go on.", func(c *backend.Config) *string { return &c.Ordering }),
	text("default_product_code", "Product of roles that name none, so that clients which write roles in the terms of Vault's PKI engine can do so.", func(c *backend.Config) *string { return &c.DefaultProductCode }),
	seconds("request_timeout", "Bound of every call but placing an order; 60s when 0.", func(c *backend.Config) *time.Duration { return &c.RequestTimeout }),
	seconds("create_timeout", "Bound of placing an order; 180s when 0. CERTInext was seen to take more than 100s.", func(c *backend.Config) *time.Duration { return &c.CreateTimeout }),
	decimal("requests_per_second", "Calls that this mount makes at most; no limit when 0.", func(c *backend.Config) *float64 { return &c.RequestsPerSecond }),
}, orderDefaults(func(c *backend.Config) *backend.OrderDefaults { return &c.OrderDefaults })...)

func (b *secretsBackend) readConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	c, err := b.engine.Account.Config(ctx, req.Storage)
	if err != nil || c == nil {
		return nil, err
	}
	return &logical.Response{Data: read(configFields, c)}, nil
}

func (b *secretsBackend) writeConfig(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	return nil, b.engine.Account.WriteConfig(ctx, req.Storage, func(c *backend.Config) error {
		return write(configFields, d, c)
	}, d.Get("verify_connection").(bool))
}

func (b *secretsBackend) deleteConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	return nil, b.engine.Account.DeleteConfig(ctx, req.Storage)
}

func (b *secretsBackend) checkConfig(ctx context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
	r, err := b.engine.Account.CheckConfig(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	products := make(map[string]any, len(r.Products))
	for _, p := range r.Products {
		products[p.Code] = map[string]any{"name": p.Name, "variant": p.Variant}
	}
	return &logical.Response{Data: map[string]any{
		"ok":             len(r.Problems) == 0,
		"account_number": r.AccountNumber,
		"auth_type":      r.AuthType,
		"latency_ms":     r.Latency.Milliseconds(),
		"products":       products,
		"problems":       append([]string{}, r.Problems...),
	}}, nil
}

const configHelp = `
A mount holds one CERTInext account. Its credential is either an OAuth client (client_id, client_secret) or an account
number with an access key. api_version=v1 speaks version 1 of the API, for accounts whose key
the portal did not generate for OAuth: every call is signed with the access key. Secrets are written and never read back. When base_url
changes they have to be given again; a consent_token ends with its organization_number.

The requestor, contacts, signer, organization and group given here apply to every order whose role names no others.
`
