// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/hashicorp/vault/sdk/logical"
)

// A purse answers the journal's questions about money by the mount's config and budgets.
type purse struct{ e *Engine }

// Reserve implements [orders.Spending].
func (p purse) Reserve(
	ctx context.Context, s logical.Storage, o orders.Purchase,
) (orders.Cost, []orders.Counted, error) {
	a, err := p.e.Account.Session(ctx, s) // which has the config in memory
	if err != nil {
		return orders.Cost{}, nil, err
	}
	if err := a.Config.AllowsProduct(o.ProductCode); err != nil {
		return orders.Cost{}, nil, err
	}
	price, counts, err := p.e.Spending.Reserve(ctx, s, spending.Purchase(o))
	var counted []orders.Counted
	for _, c := range counts {
		counted = append(counted, orders.Counted{
			Key: c.Key, Period: string(c.Period), Begins: c.Begins,
		})
	}
	if err != nil || !price.Known {
		return orders.Cost{}, counted, err
	}
	return orders.Cost{Price: price.Amount.String(), Currency: price.Currency}, counted, nil
}

// CountCharged implements [orders.Spending].
func (p purse) CountCharged(
	ctx context.Context, s logical.Storage, o orders.Purchase, at time.Time, amount string,
) error {
	_, err := p.e.Spending.CountCharged(ctx, s, spending.Purchase(o), at, chargedPrice(amount, ""))
	return err
}

// chargedPrice returns what was charged as a price. An amount that cannot be read, such as one with
// a comma, is none.
func chargedPrice(amount, currency string) spending.Price {
	read, err := money.Parse(amount)
	if err != nil {
		return spending.Price{Unknown: "what was charged cannot be read"}
	}
	return spending.Price{Amount: read, Known: true, Currency: currency}
}

// Settle implements [orders.Spending].
func (p purse) Settle(ctx context.Context, s logical.Storage) error {
	return p.e.Spending.Settle(ctx, s)
}

// books answer the questions of the budgets by the journal and the account.
type books struct{ e *Engine }

// Time implements [spending.Books]. CERTInext's clock counts as far as it is known: a clock of this
// server that is wrong opens no period.
func (b books) Time() time.Time {
	now := b.e.Now()
	if skew, known := b.e.Account.ClockSkew(); known && skew.Abs() > time.Minute {
		return now.Add(skew)
	}
	return now
}

// Fate implements [spending.Books].
func (b books) Fate(
	ctx context.Context, s logical.Storage, r spending.Reserved,
) (spending.Fate, error) {
	fate, err := orders.FateOf(ctx, b.e.Orders, s, orders.Reserved(r))
	return map[orders.Fate]spending.Fate{
		orders.FateOpen:  spending.FateOpen,
		orders.FateTaken: spending.FateTaken,
		orders.FateFree:  spending.FateFree,
		orders.FateGone:  spending.FateGone,
	}[fate], err
}

// Price implements [spending.Books]: config's price, else the catalog's, which is asked for no more
// often than every few minutes.
func (b books) Price(
	ctx context.Context, s logical.Storage, p spending.Purchase, ask bool,
) (spending.Price, error) {
	a, err := b.e.Account.Session(ctx, s)
	if err != nil {
		return spending.Price{}, err
	}
	if amount, ok := a.Config.PriceOf(p.ProductCode, p.Years); ok {
		return spending.Price{Amount: amount, Known: true}, nil
	}
	if !ask {
		return spending.Price{Unknown: "it was not looked up"}, nil
	}
	if err := b.e.Account.MayAsk(s); err != nil {
		return spending.Price{Unknown: err.Error()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, account.CatalogTimeout)
	defer cancel()
	products, _, err := b.e.Account.CatalogProducts(ctx, a, p.Group, false)
	if err != nil {
		return spending.Price{Unknown: fmt.Sprintf("the catalog cannot be asked (%s)",
			sanitize.Error(err))}, nil
	}
	price := account.CatalogPrice(products, p.ProductCode, p.Years)
	return spending.Price{
		Amount: price.Amount, Currency: price.Currency, Known: price.Unknown == "",
		Unknown: price.Unknown,
	}, nil
}

// WriteBudget applies change to a budget with the default of every field, validates the result and
// stores it. One that limits money is refused as long as the price of what a role that it covers
// orders is not known: nothing could be ordered under it.
func WriteBudget(
	ctx context.Context, e *Engine, s logical.Storage, name string, change func(*Budget) error,
) (warnings []string, err error) {
	if !issuing.RoleName.MatchString(name) {
		return nil, fault.BadField("name",
			"%q is not a name: use letters and digits, with . _ - between them",
			sanitize.Short(name))
	}
	err = e.Spending.WriteBudget(ctx, s, name, change, func(before, b *Budget) error {
		warnings, err = checkCovered(ctx, e, s, b)
		warnings = append(warnings, before.Forgets(b)...)
		return err
	})
	return warnings, err
}

// maxCovered is how many roles are looked at when a budget is written.
const maxCovered = 1000

// checkCovered looks at the roles that a budget covers: those whose products have no price are an
// error for a budget that limits money, and that there are none is a warning.
func checkCovered(
	ctx context.Context, e *Engine, s logical.Storage, b *Budget,
) (warnings []string, err error) {
	names, err := roles.List(ctx, s)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !b.Covers(name) })
	if len(names) == 0 {
		warnings = append(warnings, "roles: the budget covers no role that there is now")
	}
	if b.MaxSpend == "" {
		return warnings, nil
	}
	if len(names) > maxCovered {
		warnings = append(warnings, fmt.Sprintf("max_spend: the budget covers %d roles, and the "+
			"prices of %d were looked up", len(names), maxCovered))
	}
	asked := make(map[spending.Purchase]bool)
	for _, name := range names[:min(len(names), maxCovered)] {
		if err := checkPriced(ctx, e, s, name, asked); err != nil {
			return nil, err
		}
	}
	return warnings, nil
}

// checkPriced returns an error about the field max_spend unless it is known what a role's orders
// cost. What was asked already is not asked again.
func checkPriced(
	ctx context.Context, e *Engine, s logical.Storage, name string,
	asked map[spending.Purchase]bool,
) error {
	role, err := roles.Read(ctx, s, name)
	if err != nil || role == nil {
		return err
	}
	a, err := e.Account.Session(ctx, s)
	if errors.Is(err, fault.ErrNotConfigured) {
		return fault.BadField("max_spend", "needs the config to be written first: "+
			"it is not known what orders cost")
	}
	if err != nil {
		return err
	}
	p := spending.Purchase{
		ProductCode: role.ProductCode, Years: role.ValidityYears,
		Group: role.OrderDefaults.Or(a.Config.OrderDefaults).GroupNumber,
	}
	if asked[p] {
		return nil
	}
	asked[p] = true
	price, err := books{e}.Price(ctx, s, p, true)
	if err == nil && !price.Known {
		err = fault.BadField("max_spend", "what orders of role %s cost is not known: %s. Give the "+
			"price of product %s with product_prices at <mount>/config first, or leave the role "+
			"out of roles", name, price.Unknown, sanitize.Short(role.ProductCode))
	}
	return err
}

// unpricedWarning warns that a budget limits what orders of a role cost, and that this is not
// known, so that they are refused. cfg is nil while there is none.
func unpricedWarning(
	ctx context.Context, e *Engine, s logical.Storage, r *issuing.Role, cfg *account.Config,
) ([]string, error) {
	limit, err := e.Spending.MoneyLimit(ctx, s, r.Name)
	if err != nil || limit == "" || cfg == nil {
		return nil, err
	}
	price, err := books{e}.Price(ctx, s, spending.Purchase{
		ProductCode: r.ProductCode, Years: r.ValidityYears,
		Group: r.OrderDefaults.Or(cfg.OrderDefaults).GroupNumber,
	}, true)
	if err != nil || price.Known {
		return nil, err
	}
	return []string{fmt.Sprintf("product_code: budget %q limits what orders of this role cost, "+
		"and that is not known: %s. Nothing is ordered until product_prices at <mount>/config "+
		"gives the price", limit, price.Unknown)}, nil
}

// mayOrderProduct returns an error when a role is changed from before to a product that the mount
// may not order. cfg is nil while there is none.
func mayOrderProduct(cfg *account.Config, r, before *issuing.Role) error {
	if cfg == nil || r.ProductCode == "" || r.ProductCode == before.ProductCode {
		return nil
	}
	return cfg.AllowsProduct(r.ProductCode)
}
