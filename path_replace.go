// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// pathReplace are the paths of campaigns, which replace many certificates before their time
// (ADR 0049).
func (b *secretsBackend) pathReplace() []*framework.Path {
	campaign := framework.GenericNameRegex("campaign")
	name := campaignName()
	dryRun := map[string]*framework.FieldSchema{"dry_run": {
		Type: framework.TypeBool,
		Description: "Begin nothing, and answer which certificates would be replaced, what that " +
			"would cost at most, and how long it would take at least.",
	}}
	paths := []*framework.Path{
		{
			Pattern: "replace/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listCampaigns,
					"List the campaigns.",
					"list", "campaigns", keysField("Names of the campaigns.")),
			},
			HelpSynopsis:    "List the campaigns.",
			HelpDescription: replaceHelp,
		},
		{
			Pattern: "replace/" + campaign + "$",
			Fields:  merge(name, schemas(campaignFields, backend.NewCampaign("")), dryRun),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readCampaign,
					"Read how far a campaign is.",
					"read", "campaign", merge(readable(campaignFields), progressFields())),
				logical.UpdateOperation: writing(b.startCampaign,
					"Begin a campaign: replace certificates before their time.",
					"start", "campaign", campaignPreviewFields()),
				logical.DeleteOperation: silent(writing(b.deleteCampaign,
					"Delete a campaign that is over.",
					"delete", "campaign", nil)),
			},
			HelpSynopsis:    "Replace many certificates before their time.",
			HelpDescription: replaceHelp,
		},
		{
			Pattern: "replace/" + campaign + "/certs$",
			Fields: merge(name, windowFields(), map[string]*framework.FieldSchema{
				"stage": filterField("Only certificates at this stage."),
			}),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readCampaignItems,
					"Read the certificates of a campaign, page by page.",
					"read", "campaign-certificates",
					merge(pageFields("certificates", campaignItemHelp), totalField())),
			},
			HelpSynopsis:    "The certificates of a campaign, and how far each is.",
			HelpDescription: replaceHelp,
		},
	}
	for _, c := range []struct {
		verb, synopsis string
		to             backend.CampaignState
	}{
		{"pause", "Stop replacing and revoking for now.", backend.CampaignPaused},
		{"resume", "Go on with a campaign that was paused.", backend.CampaignRunning},
		{"abort", "End a campaign: what is not replaced yet stays.", backend.CampaignAborted},
	} {
		paths = append(paths, &framework.Path{
			Pattern: "replace/" + campaign + "/" + c.verb + "$",
			Fields:  name,
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: writing(b.controlCampaign(c.to), c.synopsis,
					c.verb, "campaign", campaignStateField()),
			},
			HelpSynopsis:    c.synopsis,
			HelpDescription: replaceHelp,
		})
	}
	return paths
}

func campaignName() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{"campaign": {
		Type: framework.TypeString, Required: true, Description: "Name of the campaign.",
	}}
}

func campaignStateField() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{"state": {
		Type: framework.TypeString, Description: "running, paused, aborted or done.",
	}}
}

var campaignFields = []binding[backend.Campaign]{
	texts("roles",
		"Replace certificates of these roles; * is all roles.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Roles }),
	texts("issuers",
		"Replace certificates that a CA with one of these common names has issued.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Issuers }),
	texts("roots",
		"Replace certificates one of whose chains ends at a CA with one of these common names, "+
			"or leads through it.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Roots }),
	texts("ca_keys",
		"Replace certificates in whose chain a CA has one of these keys, each the SHA-256 of the "+
			"public key as config/trust has it.",
		func(c *backend.Campaign) *[]string { return &c.Selection.CAKeys }),
	texts("key_types",
		"Replace certificates with such keys: rsa-2048, rsa-3072, rsa-4096, ec-256 or ec-384.",
		func(c *backend.Campaign) *[]string { return &c.Selection.KeyTypes }),
	texts("products",
		"Replace certificates that were ordered as products with these codes.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Products }),
	texts("trust",
		"Replace certificates of which clients make this: distrusted, refused, partly, accepted "+
			"or unknown, as lists of certificates have it.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Trust }),
	texts("refused_by",
		"Replace certificates that one of these families of clients refuses (config/trust).",
		func(c *backend.Campaign) *[]string { return &c.Selection.RefusedBy }),
	texts("serial_numbers",
		"Replace these certificates. Each has to be there, live, and match the other filters.",
		func(c *backend.Campaign) *[]string { return &c.Selection.Serials }),
	flag("include_synchronized",
		"Count certificates, too, that were ordered outside of this mount and are no role's. They "+
			"are not replaced; with revoke_unclaimed they are revoked.",
		func(c *backend.Campaign) *bool { return &c.Selection.Synchronized }),
	flag("each",
		"Replace each certificate that a requester has for the same names. Otherwise the newest "+
			"takes the place of the others.",
		func(c *backend.Campaign) *bool { return &c.Selection.Each }),
	text("note",
		"Why: the requesters read it in their answers. Required.",
		func(c *backend.Campaign) *string { return &c.Plan.Note }),
	flag("revoke",
		"Revoke what was replaced. Each replacement is then a new order, whatever the role says.",
		func(c *backend.Campaign) *bool { return &c.Plan.Revoke }),
	word("reason",
		"Why it is revoked, as revoke has it.",
		func(c *backend.Campaign) *backend.Reason { return &c.Plan.Reason }),
	seconds("revoke_after",
		"How long after the hand-over of its replacement a certificate is revoked, whatever lease "+
			"runs on it.",
		func(c *backend.Campaign) *time.Duration { return &c.Plan.RevokeAfter }),
	flag("revoke_unclaimed",
		"Revoke a certificate, too, whose replacement nobody has collected that long after it was "+
			"there, or which could not be replaced that long after its turn.",
		func(c *backend.Campaign) *bool { return &c.Plan.RevokeUnclaimed }),
	number("per_hour",
		"How many certificates have their turn in an hour; no limit when 0.",
		func(c *backend.Campaign) *int { return &c.Plan.PerHour }),
	word("order",
		"Which have their turn first: expiry, those that expire soonest, or role, one role after "+
			"the other.",
		func(c *backend.Campaign) *backend.CampaignOrder { return &c.Plan.Order }),
	number("max_certificates",
		"Begin nothing when more certificates are selected; no limit when 0.",
		func(c *backend.Campaign) *int { return &c.Plan.MaxCertificates }),
	text("max_spend",
		"Begin nothing when the replacements may cost more, as 250.00, or when that is not known; "+
			"no limit when empty.",
		func(c *backend.Campaign) *string { return &c.Plan.MaxSpend }),
}

// campaignPreviewFields are what the answer to a write says of what the campaign comes to.
func campaignPreviewFields() map[string]*framework.FieldSchema {
	return merge(campaignStateField(), map[string]*framework.FieldSchema{
		"dry_run": {Type: framework.TypeBool, Description: "Set where nothing was begun."},
		"total":   {Type: framework.TypeInt, Description: "How many certificates are selected."},
		"orders": {
			Type:        framework.TypeInt,
			Description: "How many new orders are placed at most.",
		},
		"reissues": {
			Type: framework.TypeInt,
			Description: "How many replacements may be within subscriptions that are paid for " +
				"(renewal=reissue).",
		},
		"behind": {
			Type: framework.TypeInt,
			Description: "Certificates of which a newer one of the same requester for the same " +
				"names takes the place: nothing is bought for them.",
		},
		"price": {
			Type: framework.TypeString,
			Description: "What the orders cost at most, as 25.00; empty while that of some role " +
				"in unpriced is not known.",
		},
		"currency": {Type: framework.TypeString, Description: "Currency of the price."},
		"unpriced": {
			Type:        framework.TypeStringSlice,
			Description: "Roles whose orders have no known price, each with why.",
		},
		"duration": {
			Type:        framework.TypeInt64,
			Description: "How many seconds it takes at least, by per_hour.",
		},
		"by_role": {
			Type:        framework.TypeMap,
			Description: "How many certificates of each role are selected.",
		},
		"certificates": {
			Type: framework.TypeSlice,
			Description: "With dry_run, the first 1000 of them, in the order of their turns, " +
				"each with serial_number, role, names, not_after and behind.",
		},
	})
}

// progressFields are what reading a campaign shows beside its own fields.
func progressFields() map[string]*framework.FieldSchema {
	return merge(campaignStateField(), map[string]*framework.FieldSchema{
		"created_at": {Type: framework.TypeString, Description: "When it was begun (RFC 3339)."},
		"changed_at": {
			Type:        framework.TypeString,
			Description: "When it was paused, resumed, aborted or over (RFC 3339).",
		},
		"total": {Type: framework.TypeInt, Description: "How many certificates it is about."},
		"stages": {
			Type:        framework.TypeMap,
			Description: "How many certificates are at which stage: " + stagesHelp,
		},
		"stuck": {
			Type: framework.TypeSlice,
			Description: "The first 20 certificates that cannot be replaced at present, each " +
				"with serial_number, role, why and since.",
		},
		"time_left": {
			Type: framework.TypeInt64,
			Description: "How many seconds it takes at least until the last one has its turn, by " +
				"per_hour.",
		},
	})
}

const stagesHelp = "waiting for its turn; asked, since its replacement is being made; requester, " +
	"since only its requester's next request can replace it; stuck, since that was refused, " +
	"and is tried again; made, when the replacement waits for its requester; handed, when it was " +
	"handed over and this one is to be revoked; revoking; replaced; and left as it is, with why."

const campaignItemHelp = "The certificates, those that have their turn first at the top, each " +
	"with serial_number, role, stage, why, since (RFC 3339), replaced_by and behind. The " +
	"stages are: " + stagesHelp

func (b *secretsBackend) listCampaigns(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	names, err := backend.ListCampaigns(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(listed(names, d)), nil
}

func (b *secretsBackend) startCampaign(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	c := backend.NewCampaign(d.Get("campaign").(string))
	if err := write(campaignFields, d, c, backend.NewCampaign("")); err != nil {
		return nil, err
	}
	dry := isDryRun(d)
	p, err := backend.StartCampaign(ctx, b.engine, req.Storage, c, dry)
	if err != nil {
		return nil, err
	}
	data := map[string]any{
		"state": string(c.State), "total": len(p.Chosen), "orders": p.Orders,
		"reissues": p.Reissues, "behind": p.Behind, "price": campaignPrice(p),
		"currency": p.Currency, "unpriced": append([]string{}, p.Unpriced...),
		"duration": int64(p.Took / time.Second), "by_role": p.Roles,
	}
	resp := &logical.Response{Data: data}
	if !dry {
		resp.AddWarning(fmt.Sprintf("The campaign has begun, in the background: "+
			"<mount>/replace/%s shows how far it is, and <mount>/replace/%s/pause stops it.",
			c.Name, c.Name))
		return resp, nil
	}
	rows := make([]map[string]any, 0, min(len(p.Chosen), maxPreviewed))
	for _, one := range p.Chosen[:min(len(p.Chosen), maxPreviewed)] {
		rows = append(rows, map[string]any{
			"serial_number": withColons(one.Serial), "role": one.Role,
			"names": append([]string{}, one.Names...), "not_after": rfc3339(one.NotAfter),
			"behind": withColons(one.Behind),
		})
	}
	data["state"], data["certificates"], data["dry_run"] = "", rows, true
	return resp, nil
}

// campaignPrice is what a campaign costs; empty where that is not known of some of it.
func campaignPrice(p *backend.CampaignPreview) string {
	if len(p.Unpriced) > 0 {
		return ""
	}
	return p.Cost.String()
}

// maxPreviewed is of how many certificates a dry run of a campaign tells.
const maxPreviewed = 1000

func withColons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }

func (b *secretsBackend) readCampaign(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	p, err := backend.ReadCampaign(ctx, req.Storage, d.Get("campaign").(string))
	if err != nil {
		return nil, err
	}
	data := read(campaignFields, p.Campaign)
	serials := make([]string, 0, len(p.Selection.Serials))
	for _, serial := range p.Selection.Serials {
		serials = append(serials, withColons(serial))
	}
	stages := make(map[string]any, len(p.Counts))
	for stage, n := range p.Counts {
		stages[string(stage)] = n
	}
	stuck := make([]map[string]any, 0, len(p.Stuck))
	for _, it := range p.Stuck {
		stuck = append(stuck, map[string]any{
			"serial_number": withColons(it.Serial), "role": it.Role, "why": it.Why,
			"since": rfc3339(it.At),
		})
	}
	data["serial_numbers"], data["state"], data["stages"] = serials, string(p.State), stages
	data["created_at"], data["changed_at"] = rfc3339(p.CreatedAt), rfc3339(p.ChangedAt)
	data["total"], data["stuck"] = p.Total, stuck
	data["time_left"] = int64(p.Left / time.Second)
	return &logical.Response{Data: data}, nil
}

func (b *secretsBackend) readCampaignItems(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	page, err := backend.ListCampaignItems(ctx, req.Storage, d.Get("campaign").(string),
		d.Get("stage").(string), window(d))
	if err != nil {
		return nil, err
	}
	return pageResponse("certificates", page, func(it backend.CampaignItem) map[string]any {
		return map[string]any{
			"serial_number": withColons(it.Serial), "role": it.Role, "stage": string(it.Stage),
			"why": it.Why, "since": rfc3339(it.At), "replaced_by": withColons(it.By),
			"behind": withColons(it.Behind),
		}
	}), nil
}

func (b *secretsBackend) controlCampaign(to backend.CampaignState) handler {
	return func(
		ctx context.Context, req *logical.Request, d *framework.FieldData,
	) (*logical.Response, error) {
		c, err := backend.ControlCampaign(ctx, b.engine, req.Storage,
			d.Get("campaign").(string), to)
		if err != nil {
			return nil, err
		}
		return &logical.Response{Data: map[string]any{"state": string(c.State)}}, nil
	}
}

func (b *secretsBackend) deleteCampaign(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, backend.DeleteCampaign(ctx, b.engine, req.Storage, d.Get("campaign").(string))
}

const replaceHelp = `A campaign replaces many certificates before their time: since clients trust
their CA no more, or since they have to be revoked by a certain day. Writing begins it, for the live
certificates of this mount's orders that match each of the filters; what is issued later is not
part of it. With dry_run=true, the answer says what it would come to, and nothing is begun.

The background pass makes the replacements, as many in an hour as per_hour says: with revoke by new
orders, else within the subscription where the role reissues. Roles, budgets, approvals and
ordering hold as for any order; what they refuse is stuck, with the reason, and is tried again. The
next issue of the same requester for the same names gets the replacement at once. Where the
requester has the key (sign), or gives its requests names (request_id), its next request is the
replacement. Until then its answers say so, and renew_after is in the past.

With revoke, a certificate is revoked for the reason given, revoke_after after its replacement was
handed over; never before, unless revoke_unclaimed says so. CERTInext revokes whole orders: of an
order with several certificates the newest is replaced first, and all are revoked together.

pause stops all of that and resume goes on. abort ends it: what was not replaced by then is not, and
what was not to be revoked by then stays valid. What CERTInext has taken goes on. A campaign that
is over can be deleted; its name can then be used again.
`
