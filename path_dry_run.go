// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// This file answers the requests of issue, sign, orders and renew that say dry_run=true.

func dryRunField() *framework.FieldSchema {
	return &framework.FieldSchema{
		Type: framework.TypeBool,
		Description: "Order nothing, store nothing and hand nothing out: answer what the same " +
			"request would come to now. It wins over every other field.",
	}
}

// isDryRun reports whether a request says dry_run=true. What is no boolean was refused when its
// fields were read.
func isDryRun(d *framework.FieldData) bool {
	if d.Schema["dry_run"] == nil {
		return false
	}
	dry, _ := d.Get("dry_run").(bool)
	return dry
}

// proposalFields describe what would be ordered.
func proposalFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"common_name": {Type: framework.TypeString, Description: "Common name."},
		"names": {
			Type:        framework.TypeStringSlice,
			Description: "All names that would be ordered, the common name first.",
		},
		"added_names": {
			Type: framework.TypeStringSlice,
			Description: "Names that CERTInext adds to them by itself, since the role says " +
				"auto_secure_www.",
		},
		"subject": {
			Type: framework.TypeMap,
			Description: "The person or organization of a document signer or S/MIME certificate, " +
				"without the number of an identity document; empty for others.",
		},
		"auto_renew": {
			Type: framework.TypeBool,
			Description: "CERTInext would renew the order by itself, and charge for that, " +
				"renew_before_days before it ends.",
		},
		"renew_before_days": {
			Type:        framework.TypeInt,
			Description: "How many days before its end CERTInext would renew the order.",
		},
		"product_code": {
			Type:        framework.TypeString,
			Description: "Product that would be ordered.",
		},
		"product_variant": {
			Type:        framework.TypeString,
			Description: "Kind of the product, such as dv-ucc.",
		},
		"validity_years": {
			Type:        framework.TypeInt,
			Description: "Years of the subscription that would be bought.",
		},
		"key_type": {Type: framework.TypeString, Description: "Type of the key: ec or rsa."},
		"csr_key_sha256": {
			Type: framework.TypeString,
			Description: "SHA-256 of the public key of the requester's CSR, in hexadecimal; " +
				"empty when Vault makes the key.",
		},
		"group_number": {
			Type:        framework.TypeString,
			Description: "Billing group that would be charged; empty for the account's default.",
		},
		"organization_number": {
			Type:        framework.TypeString,
			Description: "Organization that the certificate would be for; empty for none.",
		},
		"custom_fields": {
			Type:        framework.TypeMap,
			Description: "Custom fields of the order, by field id.",
		},
	}
}

func encodeProposal(p *backend.Proposal) map[string]any {
	return map[string]any{
		"common_name":         p.CommonName,
		"names":               append([]string{}, p.Names...),
		"added_names":         append([]string{}, p.AddedNames...),
		"subject":             anyValues(p.Subject),
		"auto_renew":          p.AutoRenew,
		"renew_before_days":   p.RenewBeforeDays,
		"product_code":        p.ProductCode,
		"product_variant":     p.Variant,
		"validity_years":      p.ValidityYears,
		"key_type":            p.KeyType,
		"csr_key_sha256":      p.CSRKeySHA256,
		"group_number":        p.GroupNumber,
		"organization_number": p.OrganizationNumber,
		"custom_fields":       anyValues(p.CustomFields),
	}
}

// anyValues returns a map as answers have it.
func anyValues(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// outlookFields describe what an order would cost, count to and wait for.
func outlookFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"price": {
			Type: framework.TypeString,
			Description: "What such an order costs, as 25.00, by product_prices of config or the " +
				"catalog; empty when that is not known.",
		},
		"currency": {
			Type:        framework.TypeString,
			Description: "Currency of the price, where the catalog says it.",
		},
		"price_unknown": {
			Type:        framework.TypeString,
			Description: "Why the price is not known; empty when it is.",
		},
		"yearly_costs": {
			Type: framework.TypeMap,
			Description: "What a year costs at that price, for certificates that live 200, 100 " +
				"and 47 days: with renewal=order an order for each renewal, at two thirds of " +
				"the life, and with renewal=reissue one for each subscription.",
		},
		"yearly_orders": {
			Type:        framework.TypeMap,
			Description: "How many orders that is in a year, for each of these lives.",
		},
		"budgets": {
			Type: framework.TypeSlice,
			Description: "The budgets that the order would count to: budget, admits, refusal " +
				"(why it does not), and what is left of it once the order is counted, by its " +
				"limits: orders_left, open_left, spend_left, refills_at.",
		},
		"domains": {
			Type: framework.TypeSlice,
			Description: "For each name of a publicly trusted certificate: domain, validated " +
				"(yes, no or unknown), valid_till and validated_by (the account's domain whose " +
				"validation covers it); otherwise dcv_method, dcv_solver and how it would be " +
				"validated; and caa (allowed, forbidden or unknown, by the role's " +
				"dcv_resolvers), caa_at (the name whose records decide) and caa_reason.",
		},
	}
}

func encodeOutlook(o *backend.Outlook) map[string]any {
	costs, orders := make(map[string]any), make(map[string]any)
	for _, y := range o.Years {
		days := strconv.Itoa(y.Days)
		orders[days] = y.Orders
		if o.Price.Known {
			costs[days] = y.Cost.String()
		}
	}
	price := ""
	if o.Price.Known {
		price = o.Price.Amount.String()
	}
	return map[string]any{
		"price": price, "currency": o.Price.Currency, "price_unknown": o.Price.Unknown,
		"yearly_costs": costs, "yearly_orders": orders,
		"budgets": encodeForecasts(o.Budgets), "domains": encodeDomainOutlooks(o.Domains),
	}
}

func encodeForecasts(all []backend.Forecast) []map[string]any {
	out := make([]map[string]any, 0, len(all))
	for _, f := range all {
		b, u := f.Budget, f.After
		m := map[string]any{
			"budget": b.Name, "admits": f.Refusal == nil, "refills_at": rfc3339(u.RefillsAt),
		}
		if f.Refusal != nil {
			m["refusal"] = f.Refusal.Error()
		}
		if b.MaxOrders > 0 {
			m["orders_left"] = u.OrdersLeft
		}
		if b.MaxOpenOrders > 0 {
			m["open_left"] = u.OpenLeft
		}
		if b.MaxSpend != "" {
			m["spend_left"] = u.SpendLeft.String()
		}
		out = append(out, m)
	}
	return out
}

func encodeDomainOutlooks(all []backend.DomainOutlook) []map[string]any {
	out := make([]map[string]any, 0, len(all))
	for _, d := range all {
		m := map[string]any{
			"domain": d.Name, "validated": d.Validated, "caa": string(d.CAA.Verdict),
		}
		for field, v := range map[string]string{
			"valid_till": rfc3339(d.ValidTill), "validated_by": d.Covering,
			"dcv_method": string(d.Method), "dcv_solver": d.Solver, "how": d.How,
			"caa_at": d.CAA.At, "caa_reason": d.CAA.Reason,
		} {
			if v != "" {
				m[field] = v
			}
		}
		out = append(out, m)
	}
	return out
}

// dryRunFields describe the answer to a request with dry_run=true.
func dryRunFields() map[string]*framework.FieldSchema {
	out := merge(proposalFields(), outlookFields(), map[string]*framework.FieldSchema{
		"dry_run": {
			Type:        framework.TypeBool,
			Description: "true: nothing was ordered, stored or handed out.",
		},
		"would": {
			Type: framework.TypeString,
			Description: "How the request would be answered: join (an open order of the same " +
				"request), reuse (a certificate that was handed over before), reissue (within " +
				"an order that is paid for), order (a new one), draft, or refuse.",
		},
		"otherwise": {
			Type: framework.TypeString,
			Description: "With refuse: how the request would be answered if nothing refused it, " +
				"as far as that is known.",
		},
		"why":     {Type: framework.TypeString, Description: "Why that is the answer."},
		"summary": {Type: framework.TypeString, Description: "The answer in words."},
		"order_id": {
			Type: framework.TypeString,
			Description: "Id of the order that would be joined, reused from or reissued; empty " +
				"for a new one.",
		},
		"order_state": {
			Type:        framework.TypeString,
			Description: "State of that order.",
		},
		"serial_number": {
			Type: framework.TypeString,
			Description: "Certificate that would be handed over again, reissued or succeeded; " +
				"empty when there is none.",
		},
		"role": {Type: framework.TypeString, Description: "Role of the request."},
		"waits_for_approval": {
			Type:        framework.TypeBool,
			Description: "The order would wait for the approval of another person.",
		},
		"costs_now": {
			Type: framework.TypeString,
			Description: "What answering the request costs, as 25.00: the price for an order, " +
				"nothing otherwise; empty when it is not known. What CERTInext charges for a " +
				"reissue is not documented: its ledger is read after each.",
		},
		"renewal": {
			Type: framework.TypeString,
			Description: "How the certificates of such an order are succeeded: order or reissue " +
				"(renewal of the role).",
		},
		"checks_passed": {
			Type:        framework.TypeStringSlice,
			Description: "Checks that the request passes.",
		},
		"checks_failed": {
			Type:        framework.TypeStringSlice,
			Description: "Checks that it fails.",
		},
		"refusals": {
			Type: framework.TypeStringSlice,
			Description: "Everything that refuses the request, in the words of the refusal that " +
				"it would be answered with first.",
		},
	})
	for _, f := range out {
		f.Description = "With dry_run. " + f.Description
	}
	return out
}

// dryRun answers what a request would come to.
func (b *secretsBackend) dryRun(
	ctx context.Context, req *logical.Request, r backend.Request, async bool,
) (*logical.Response, error) {
	p, err := backend.DryRun(ctx, b.engine, req.Storage, r, async)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodePreview(p)}, nil
}

func encodePreview(p *backend.Preview) map[string]any {
	passed, failed, refusals := []string{}, []string{}, []string{}
	for _, c := range p.Checks {
		if len(c.Problems) == 0 {
			passed = append(passed, c.Name)
			continue
		}
		failed = append(failed, c.Name)
		for _, problem := range c.Problems {
			refusals = append(refusals, problem.Error())
		}
	}
	data := map[string]any{
		"dry_run": true, "would": string(p.Would), "otherwise": string(p.Otherwise),
		"why": p.Why, "order_id": "", "order_state": "", "serial_number": p.Serial,
		"role": p.Role.Name, "waits_for_approval": p.WaitsForApproval,
		"costs_now": "", "renewal": renewalWord(p),
		"checks_passed": passed, "checks_failed": failed, "refusals": refusals,
	}
	if cost, known := p.CostsNow(); known {
		data["costs_now"] = cost.String()
	}
	if p.Order != nil {
		data["order_id"], data["order_state"] = p.Order.ID, string(p.Order.State)
	}
	maps.Copy(data, encodeProposal(&p.Proposal))
	maps.Copy(data, encodeOutlook(&p.Outlook))
	data["summary"] = summary(p, data, refusals)
	return data
}

func renewalWord(p *backend.Preview) string {
	if p.RenewsWithin {
		return "reissue"
	}
	return "order"
}

// summary says in words what a request would come to.
func summary(p *backend.Preview, data map[string]any, refusals []string) string {
	what := strings.Join(p.Proposal.Names, ", ")
	cost := fmt.Sprint(data["costs_now"])
	if cost == "" {
		cost = "a price that is not known (" + p.Price.Unknown + ")"
	} else if p.Price.Currency != "" {
		cost += " " + p.Price.Currency
	}
	switch p.Would {
	case backend.PreviewJoin, backend.PreviewReuse, backend.PreviewReissue:
		return fmt.Sprintf("would %s: %s; nothing is bought", p.Would, p.Why)
	case backend.PreviewDraft:
		return "would keep a draft for " + what + ", which costs nothing until it is promoted"
	case backend.PreviewRefuse:
		return "would be refused: " + strings.Join(refusals, "; ")
	}
	text := fmt.Sprintf("would order product %s for %s, for %s", p.Proposal.ProductCode, what, cost)
	if p.WaitsForApproval {
		text += ", once another person has approved it"
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}
