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

func (b *secretsBackend) pathBudgets() []*framework.Path {
	name := map[string]*framework.FieldSchema{
		"name": {Type: framework.TypeString, Description: "Name of the budget.", Required: true},
	}
	return []*framework.Path{
		{
			Pattern: "budgets/?$",
			Fields:  listFields(),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ListOperation: operation(b.listBudgets,
					"List the budgets.",
					"list", "budgets", keysField("Names of the budgets.")),
			},
			HelpSynopsis:    "List the budgets.",
			HelpDescription: "Lists the names of the budgets of this mount.",
		},
		{
			Pattern: "budgets/" + framework.GenericNameRegex("name") + "$",
			Fields:  merge(name, schemas(budgetFields, backend.NewBudget(""))),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: operation(b.readBudget,
					"Read a budget, and what is used of it.",
					"read", "budget", merge(readable(budgetFields), usageFields())),
				logical.UpdateOperation: warned(silent(writing(b.writeBudget,
					"Write a budget. Fields that are omitted get their defaults.",
					"write", "budget", nil))),
				logical.DeleteOperation: silent(writing(b.deleteBudget,
					"Delete a budget, and what was counted under it.",
					"delete", "budget", nil)),
			},
			HelpSynopsis:    "A budget limits how many orders are placed, are open, and cost what.",
			HelpDescription: budgetHelp,
		},
	}
}

var budgetFields = []binding[backend.Budget]{
	texts("roles",
		"Names of the roles that the budget covers; a * stands for any characters. It covers "+
			"every role of the mount when empty.",
		func(b *backend.Budget) *[]string { return &b.Roles }),
	word("per",
		"Who has as much: the mount (all covered roles together), each role, or each requester, "+
			"which is an identity entity or, without one, a token.",
		func(b *backend.Budget) *backend.BudgetPer { return &b.Per }),
	word("period",
		"When the budget refills: every day or month, at 00:00 UTC, or a year, which is 365 days "+
			"from the first order that counts.",
		func(b *backend.Budget) *backend.BudgetPeriod { return &b.Period }),
	number("max_orders",
		"How many orders may be placed in a period; no limit when 0.",
		func(b *backend.Budget) *int { return &b.MaxOrders }),
	text("max_spend",
		"What the orders of a period may cost, as 250.00, in the currency of the prices; no limit "+
			"when empty. Prices are those of product_prices in config, or else the catalog's.",
		func(b *backend.Budget) *string { return &b.MaxSpend }),
	number("max_open_orders",
		"How many orders may wait for CERTInext to issue them, at any time; no limit when 0.",
		func(b *backend.Budget) *int { return &b.MaxOpenOrders }),
}

// usageFields are what reading a budget shows beside its own fields.
func usageFields() map[string]*framework.FieldSchema {
	return map[string]*framework.FieldSchema{
		"usage": {
			Type: framework.TypeSlice,
			Description: "What each subject has used in the current period, 100 subjects at " +
				"most, each with subject (a role or a requester; empty for the mount), begins_at " +
				"and refills_at (RFC 3339), orders, open_orders, spent and currency, and with " +
				"orders_left, open_orders_left and spend_left where the budget limits them.",
		},
		"subjects": {
			Type:        framework.TypeInt,
			Description: "Number of subjects that orders were counted for.",
		},
	}
}

func (b *secretsBackend) listBudgets(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	names, err := b.engine.Spending.Budgets(ctx, req.Storage)
	if err != nil {
		return nil, err
	}
	return logical.ListResponse(listed(names, d)), nil
}

func (b *secretsBackend) readBudget(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	budget, err := b.engine.Spending.Budget(ctx, req.Storage, d.Get("name").(string))
	if err != nil || budget == nil {
		return nil, err
	}
	usages, subjects, err := b.engine.Spending.Usages(ctx, req.Storage, budget)
	if err != nil {
		return nil, err
	}
	data := read(budgetFields, budget)
	rows := make([]map[string]any, 0, len(usages))
	for _, u := range usages {
		rows = append(rows, encodeUsage(budget, u))
	}
	data["usage"], data["subjects"] = rows, subjects
	return &logical.Response{Data: data}, nil
}

func encodeUsage(b *backend.Budget, u backend.BudgetUsage) map[string]any {
	row := map[string]any{
		"subject":     u.Subject,
		"begins_at":   u.Begins.UTC().Format(time.RFC3339),
		"refills_at":  u.RefillsAt.UTC().Format(time.RFC3339),
		"orders":      u.Orders,
		"open_orders": u.Open,
		"spent":       u.Spent.String(),
		"currency":    u.Currency,
	}
	if b.MaxOrders > 0 {
		row["orders_left"] = u.OrdersLeft
	}
	if b.MaxOpenOrders > 0 {
		row["open_orders_left"] = u.OpenLeft
	}
	if b.MaxSpend != "" {
		row["spend_left"] = u.SpendLeft.String()
	}
	return row
}

func (b *secretsBackend) writeBudget(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	warnings, err := backend.WriteBudget(ctx, b.engine, req.Storage, d.Get("name").(string),
		func(budget *backend.Budget) error {
			return write(budgetFields, d, budget, backend.NewBudget(""))
		})
	if err != nil || len(warnings) == 0 {
		return nil, err
	}
	return &logical.Response{Warnings: warnings}, nil
}

func (b *secretsBackend) deleteBudget(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	return nil, b.engine.Spending.DeleteBudget(ctx, req.Storage, d.Get("name").(string))
}

const budgetHelp = `
A budget limits what is ordered under the roles that it covers, by number (max_orders), by money
(max_spend) and by how many orders wait at the same time (max_open_orders). An order counts in the
period in which it was placed, or approved, and towards every budget that covers its role; the first
one that does not admit it refuses it, before anything is stored or CERTInext is asked. What refuses
says which budget it is, how much of it is used, and when it refills.

An order is counted before it is placed, and given back when CERTInext certainly never took it.
Everything else stays counted, orders that are cancelled or rejected included, and orders of which
it is not known whether CERTInext took them. A draft counts until CERTInext has said that it is one,
and counts when it is promoted, for whoever promotes it. A renewal is an order. Reissues, repeated
answers and what is bought outside of this mount do not count.

A budget counts from when it was written. Writing it again keeps what was counted, also where the
limit is lower than that by now; another per or period begins anew, and says so. Deleting it forgets
what was counted. max_spend is refused while it is not known what an order of a covered role costs.
`
