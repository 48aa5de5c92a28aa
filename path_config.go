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
			Description: "Check that CERTInext accepts the credentials before they are stored.",
		},
	}
	force := map[string]*framework.FieldSchema{
		"force": {
			Type: framework.TypeBool, Query: true,
			Description: "Go on although open orders, queued revocations or certificates with " +
				"leases belong to the account that config holds, and will not once this is done. " +
				"The answer warns of them.",
		},
	}
	return []*framework.Path{
		{
			Pattern: "config$",
			Fields:  merge(schemas(configFields, new(backend.Config)), verify, force),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readConfig,
					"Read the CERTInext account, without its secrets.",
					"read", "configuration", readable(configFields)),
				logical.UpdateOperation: warned(silent(writing(b.writeConfig,
					"Set the CERTInext account.",
					"configure", "configuration", nil))),
				logical.DeleteOperation: warned(silent(writing(b.deleteConfig,
					"Delete the CERTInext account from the mount.",
					"delete", "configuration", nil))),
			},
			HelpSynopsis:    "The CERTInext account of this mount.",
			HelpDescription: configHelp,
		},
		{
			Pattern: "config/check$",
			Fields: map[string]*framework.FieldSchema{
				"role": {
					Type: framework.TypeString, Query: true,
					Description: "Name of the only role to look at; all roles when empty.",
				},
			},
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: writing(b.checkConfig,
					"Say what would make orders fail, of the config and of each role.",
					"check", "configuration", configCheckFields()),
			},
			HelpSynopsis:    "Check the config and the roles, and ask CERTInext about them.",
			HelpDescription: configCheckHelp,
		},
	}
}

// configCheckFields are the answer of config/check.
func configCheckFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"ok": {
			Type: framework.TypeBool,
			Description: "Whether everything was looked at, CERTInext answered everything and no " +
				"problem was found. Notes are none.",
		},
		"account_number": {
			Type:        framework.TypeString,
			Description: "Account that the credentials belong to.",
		},
		"auth_type": {
			Type:        framework.TypeString,
			Description: "Kind of credential, in CERTInext's words.",
		},
		"latency_ms": {
			Type: framework.TypeInt64,
			Description: "Duration of the identity call, including the token exchange, in " +
				"milliseconds.",
		},
		"products": {
			Type:        framework.TypeMap,
			Description: "Products that may be ordered: name and variant, by product code.",
		},
		"held": {
			Type: framework.TypeBool,
			Description: "Whether the mount changes nothing at CERTInext and at DNS hosts, since " +
				"CERTINEXT_HOLD is set in the plugin's environment.",
		},
		"proxy": {
			Type: framework.TypeString,
			Description: "Proxy that calls to CERTInext go through, by the environment of the " +
				"plugin's process; empty when there is none.",
		},
		"trust": {Type: framework.TypeMap, Description: trustCountsAbout},
		"roles_checked": {
			Type:        framework.TypeInt,
			Description: "Number of roles that were looked at.",
		},
		"roles_left_out": {
			Type: framework.TypeInt,
			Description: "Number of roles that were not looked at, since there are too many for " +
				"one check.",
		},
		"problems": {
			Type: framework.TypeStringSlice,
			Description: "What makes orders fail, of the config or of the role it names, and " +
				"what could not be asked or was left out, each with what mends it; empty when " +
				"there is none. The warnings of the answer say the same, for people.",
		},
		"notes": {
			Type: framework.TypeStringSlice,
			Description: "What makes orders wait or requests be refused; the warnings of the " +
				"answer say it, too.",
		},
	}
}

var configFields = append([]binding[backend.Config]{
	text("base_url",
		"URL of the API, e.g. https://us-api.certinext.io. Plain http is accepted for loopback "+
			"hosts only.",
		func(c *backend.Config) *string { return &c.BaseURL }),
	text("api_version",
		"Version of the API: v2, or v1 for an account whose key is not in OAuth mode; v2 when "+
			"empty. Both versions see the same orders. Version 1 refuses a CSR whose key was in "+
			"an earlier order (EMS-1099), and has no reissue.",
		func(c *backend.Config) *string { return &c.APIVersion }),
	text("client_id",
		"OAuth client id. Set either client_id and client_secret, or account_number and "+
			"access_key.",
		func(c *backend.Config) *string { return &c.ClientID }),
	hidden("client_secret",
		"OAuth client secret. Never read back.",
		func(c *backend.Config) *backend.Secret { return &c.ClientSecret }),
	text("account_number",
		"Account number that the access key belongs to.",
		func(c *backend.Config) *string { return &c.AccountNumber }),
	hidden("access_key",
		"Access key. Never read back.",
		func(c *backend.Config) *backend.Secret { return &c.AccessKey }),
	text("ca_certificate",
		"PEM bundle of the CAs that may have issued the API's server certificate, instead of the "+
			"system's.",
		func(c *backend.Config) *string { return &c.CACertificate }),
	flag("trust_idempotency_key",
		"Declare that the service answers a repeated Idempotency-Key with the first order. An "+
			"order whose answer was lost is then requested again under the same key. The "+
			"documented API promises this, but the live one does not do it: when in doubt, leave "+
			"it off.",
		func(c *backend.Config) *bool { return &c.TrustIdempotencyKey }),
	seconds("absent_after",
		"An order whose answer was lost, and which CERTInext's records do not show, counts as "+
			"never placed once they show another order that was placed at least this much later; "+
			"1h when 0. A request that waits for it then continues with a new order.",
		func(c *backend.Config) *time.Duration { return &c.AbsentAfter }),
	seconds("presume_absent_after",
		"Have such an order count as never placed, too, once CERTInext's records, read whole, "+
			"have not shown it for this long, as in a mount that orders so seldom that no later "+
			"order proves it; at least 24h, never when 0. The next request buys then. Should "+
			"CERTInext have the order all the same, it is paid twice: that is what whoever "+
			"sets this consents to.",
		func(c *backend.Config) *time.Duration { return &c.PresumeAbsentAfter }),
	text("ordering",
		"on or paused; on when empty. While it is paused, a request that would place an order, "+
			"promote a draft or reissue a certificate is refused at once. Open orders, repeated "+
			"requests for a certificate that is already issued, renewals of leases, and "+
			"revocations continue.",
		func(c *backend.Config) *string { return &c.Ordering }),
	text("default_product_code",
		"Product code for roles that set none, so that clients can write roles with nothing but "+
			"the fields of Vault's PKI engine.",
		func(c *backend.Config) *string { return &c.DefaultProductCode }),
	pairs("product_prices",
		"What orders of a product cost, by its code, as 842=25.00 for each year of the "+
			"subscription; by code and years, as 842/2=45.00, for an order of that length. In the "+
			"account's currency, and instead of the catalog's prices, which some accounts show as "+
			"0.0. Budgets with max_spend count by it.",
		func(c *backend.Config) *map[string]string { return &c.ProductPrices }),
	texts("allowed_products",
		"Codes of the products that may be ordered, whatever a role says; all when empty.",
		func(c *backend.Config) *[]string { return &c.AllowedProducts }),
	flag("csr_without_common_name",
		"Send CSRs without a common name to CERTInext, with the first of their DNS names as the "+
			"order's domain. Not every edition of CERTInext takes them; the others refuse the "+
			"order.",
		func(c *backend.Config) *bool { return &c.CSRWithoutCommonName }),
	seconds("request_timeout",
		"Timeout of every API call except placing an order; 60s when 0.",
		func(c *backend.Config) *time.Duration { return &c.RequestTimeout }),
	seconds("create_timeout",
		"Timeout of placing an order; 180s when 0. CERTInext has been observed to take more than "+
			"100s.",
		func(c *backend.Config) *time.Duration { return &c.CreateTimeout }),
	decimal("requests_per_second",
		"Maximum number of API calls that this mount makes per second; no limit when 0.",
		func(c *backend.Config) *float64 { return &c.RequestsPerSecond }),
	seconds("sync_interval",
		"Have the background pass start a synchronization (sync) when the last one is this old; "+
			"none starts by itself when 0. At least 5m. A certificate that is revoked or ordered "+
			"outside of the mount is then noticed within about this time. Needs one call for each "+
			"100 orders of the account, and one for each certificate that is new.",
		func(c *backend.Config) *time.Duration { return &c.SyncInterval }),
}, orderDefaults(func(c *backend.Config) *backend.OrderDefaults { return &c.OrderDefaults })...)

func (b *secretsBackend) readConfig(
	ctx context.Context, req *logical.Request, _ *framework.FieldData,
) (*logical.Response, error) {
	c, err := b.engine.Account.Config(ctx, req.Storage)
	if err != nil || c == nil {
		return nil, err
	}
	resp := &logical.Response{Data: read(configFields, c)}
	if held := b.engine.Account.MayChange(); held != nil {
		resp.AddWarning(held.Error())
	}
	return resp, nil
}

func (b *secretsBackend) writeConfig(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	warning, err := b.engine.WriteConfig(ctx, req.Storage, func(c *backend.Config) error {
		return write(configFields, d, c, new(backend.Config))
	}, backend.ConfigWrite{
		Verify: d.Get("verify_connection").(bool), Force: d.Get("force").(bool),
	})
	return warningOf(warning), err
}

func (b *secretsBackend) deleteConfig(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	warning, err := b.engine.DeleteConfig(ctx, req.Storage, d.Get("force").(bool))
	return warningOf(warning), err
}

// warningOf is a response with nothing but a warning; nil when that is empty.
func warningOf(warning string) *logical.Response {
	if warning == "" {
		return nil
	}
	resp := new(logical.Response)
	resp.AddWarning(warning)
	return resp
}

func (b *secretsBackend) checkConfig(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	r, err := b.engine.Readiness.Check(ctx, req.Storage, d.Get("role").(string))
	if err != nil {
		return nil, err
	}
	products := make(map[string]any, len(r.Products))
	for _, p := range r.Products {
		products[p.Code] = map[string]any{"name": p.Name, "variant": p.Variant}
	}
	resp := &logical.Response{Data: map[string]any{
		"ok":             len(r.Problems) == 0,
		"account_number": r.AccountNumber,
		"auth_type":      r.AuthType,
		"latency_ms":     r.Latency.Milliseconds(),
		"products":       products,
		"proxy":          r.Proxy,
		"held":           r.Held,
		"trust":          encodeTrustCounts(&r.Trust),
		"roles_checked":  r.Roles,
		"roles_left_out": r.LeftOut,
		"problems":       r.Problems,
		"notes":          r.Notes,
	}}
	for _, text := range r.Problems { // the CLI's tables print a list on one line
		resp.AddWarning(text)
	}
	for _, text := range r.Notes {
		resp.AddWarning("note: " + text)
	}
	return resp, nil
}

const configCheckHelp = `
Reading says beforehand what would make orders fail, in the names of this mount's fields and with
the command that mends it. The config and every role are looked at, and CERTInext is asked which
account the credentials belong to, which products and custom fields, groups, organizations and
domains it has, each once, however many roles name it. A question that it does not answer is a
problem of its own; the others are asked nevertheless. Nothing is ordered, changed or stored.

problems are what makes orders fail, and notes what makes them wait, such as a domain that is not
validated. What a single request asks for is not looked at: issue says it. A check looks at 500
roles, and asks about 50 groups, 50 products and 50 organizations; with role=<name> it looks at that
role alone. A wrong consent_token, and money, show themselves in an order only.
`

const configHelp = `
A mount holds one CERTInext account. Its credentials are either an OAuth client (client_id,
client_secret) or an account number with an access key. api_version=v1 selects version 1 of the
API, which signs every call with the access key, for accounts whose key the portal did not
generate for OAuth. Secrets are written and never read back. They have to be given again when
base_url changes; a consent_token is dropped when organization_number changes.

Open orders, queued revocations and leases belong to the account in which they were ordered. A write
that replaces the account, and a deletion, are refused while there are any, unless force=true is
given: CERTInext is not asked about them until config holds that account again, and operators end
them by hand (operator/orders/<role>/<id>, operator/revocations/<serial>).

The requestor, contacts, signer, organization and group given here apply to every order whose role
sets no others.
`
