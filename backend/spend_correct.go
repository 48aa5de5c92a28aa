// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reconciliation"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/hashicorp/vault/sdk/logical"
)

// A SpendCorrection is an order for which budgets count otherwise now, by what the ledger says.
type SpendCorrection struct {
	Role, OrderID string
	Number        string // CERTInext's
	Charged       bool   // it is a reissue that was charged; else an order that was paid back
	Amount        reconciliation.Figure
	Counts        int // of budgets, for the mount, a role or a requester, that have changed
}

// CorrectSpending is [ReportSpending], and has budgets count what its report says was paid back, or
// charged for a reissue (ADR 0039). However often that is done, each counts once. On failure, some
// may have been corrected; the others are by the next call.
func CorrectSpending(
	ctx context.Context, e *Engine, s logical.Storage, q SpendQuery,
) (*SpendReport, []SpendCorrection, error) {
	report, err := ReportSpending(ctx, e, s, q)
	if err != nil {
		return nil, nil, err
	}
	var done []SpendCorrection
	for _, c := range report.Corrections {
		o, _ := c.Order.Source.(*orders.Bought)
		if o == nil {
			continue
		}
		counts, err := correctOne(ctx, e, s, o, c)
		if err != nil {
			return nil, nil, err
		}
		if counts == 0 {
			continue
		}
		amount := c.Amount
		if !c.Charged {
			amount = reconciliation.Figure{Amount: c.PaidBack, Known: true}
		}
		done = append(done, SpendCorrection{
			Role: o.Role, OrderID: o.ID, Number: o.Number, Charged: c.Charged, Amount: amount,
			Counts: counts,
		})
		e.Log.Info("budgets were corrected by CERTInext's ledger", "order_id", o.ID,
			"role", o.Role, "ca_order_id", o.Number, "charged", c.Charged,
			"amount", amount.String())
	}
	return report, done, nil
}

// correctOne corrects the budgets by one order, and returns how many counts have changed.
func correctOne(
	ctx context.Context, e *Engine, s logical.Storage, o *orders.Bought,
	c reconciliation.Correction,
) (int, error) {
	if c.Charged {
		price := spending.Price{Unknown: "the ledger does not tell it"}
		if c.Amount.Known {
			price = spending.Price{Amount: c.Amount.Amount, Known: true, Currency: c.Currency}
		}
		return e.Spending.CountCharged(ctx, s, spending.Purchase{
			OrderID: o.ID, Key: o.Key, Role: o.Role, Requester: o.Requester,
			ProductCode: o.ProductCode, Group: o.GroupNumber,
		}, o.At, price)
	}
	counted := make([]spending.Counted, 0, len(o.Counted))
	for _, at := range o.Counted {
		counted = append(counted, spending.Counted{
			Key: at.Key, Period: spending.Period(at.Period), Begins: at.Begins,
		})
	}
	price := spending.Price{Currency: o.Cost.Currency, Unknown: "it was not known"}
	if amount, err := money.Parse(o.Cost.Price); err == nil {
		price.Amount, price.Known = amount, true
	}
	return e.Spending.GiveBack(ctx, s, spending.Refund{
		Key: o.Key, Counted: counted, Price: price, Amount: c.PaidBack, Whole: c.Whole,
	})
}
