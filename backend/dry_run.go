// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/hashicorp/vault/sdk/logical"
)

// ReadOnly returns storage for a request that writes nothing: every write is refused.
func ReadOnly(s logical.Storage) logical.Storage { return store.Reading(s) }

// The names of the checks that the engine adds to those of [orders.Foresee].
const (
	checkProducts = "allowed_products"
	checkBudgets  = "budgets"
)

// A Preview is what a request for a certificate would come to (ADR 0038).
type Preview struct {
	*orders.Foresight
	Outlook
	// Would is how the request would be answered. Otherwise is how it would be if no check failed;
	// it is Would where none has.
	Would, Otherwise preview.Answer
}

// CostsNow returns what answering the request costs; it reports false when that is not known.
func (p *Preview) CostsNow() (money.Amount, bool) {
	if p.Would != preview.Order {
		return 0, true
	}
	return p.Price.Amount, p.Price.Known
}

// DryRun returns what a request would come to. It writes and buys nothing, and asks CERTInext for
// the catalog and the account's domains at most, unless they are cached. With async, the request is
// one for the order and not for its certificate.
func DryRun(
	ctx context.Context, e *Engine, s logical.Storage, r issuing.Request, async bool,
) (*Preview, error) {
	s = store.Reading(s)
	ctx, cancel := context.WithTimeout(ctx, account.AskPatience)
	defer cancel()
	f, err := orders.Foresee(ctx, e.Orders, s, r, async)
	if err != nil {
		return nil, err
	}
	p := &Preview{Foresight: f, Otherwise: f.Answer}
	if f.Plan != nil {
		what := prospect{
			role: f.Role, purchase: f.Purchase, names: f.Plan.DNSNames, within: f.RenewsWithin,
			buys: f.Answer.Buys(), begins: f.Answer.Begins(),
		}
		if p.Outlook, err = lookOut(ctx, e, s, what); err != nil {
			return nil, err
		}
		addSpending(p)
	}
	p.Would = f.Answer.Settled(f.Checks.First() != nil)
	return p, nil
}

// addSpending adds what the mount's money says of the order to the checks. Who approves an order
// asks for that anew, so it refuses no request that waits for its approval.
func addSpending(p *Preview) {
	if !p.Answer.Buys() || p.WaitsForApproval {
		return
	}
	p.Checks.Add(checkProducts,
		issuing.NonNil(p.Config.AllowsProduct(p.Purchase.ProductCode))...)
	p.Checks.Add(checkBudgets, refusals(p.Budgets)...)
}

// refusals returns why budgets do not admit an order.
func refusals(all []spending.Forecast) (errs []error) {
	for _, f := range all {
		if f.Refusal != nil {
			errs = append(errs, f.Refusal)
		}
	}
	return errs
}

// ApprovalOutlook returns what an order that waits for its approval would cost, count to and wait
// for; nil when it waits no more. It asks CERTInext as [DryRun] does.
func ApprovalOutlook(
	ctx context.Context, e *Engine, s logical.Storage, a *Approval,
) (*Outlook, error) {
	if a.Order.State != orders.StateApproval {
		return nil, nil
	}
	s = store.Reading(s)
	ctx, cancel := context.WithTimeout(ctx, account.AskPatience)
	defer cancel()
	role, err := roleOf(ctx, s, a.Order.Role)
	if err != nil {
		return nil, err
	}
	what := prospect{
		role: role, purchase: a.Purchase, names: a.Hosts, within: a.RenewsWithin,
		buys: true, begins: true,
	}
	out, err := lookOut(ctx, e, s, what)
	return &out, err
}
