// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// partPrefix is followed by the name of a campaign and a number. What a campaign has selected is
// stored in parts, before the campaign itself: a crash in between leaves parts of none, which the
// next one of that name removes. The pass makes items of them.
const (
	partPrefix = "campaign/part/"
	partSize   = 500
)

// A Part is some of what a campaign has selected.
type Part struct {
	Version int      `json:"version"`
	Chosen  []Chosen `json:"chosen"`
}

// A Price is what an order of a role costs.
type Price struct {
	Amount   money.Amount
	Currency string
	Known    bool
	Unknown  string // why it is not known
	// Within is set when the role's certificates are reissued within what is paid for.
	Within bool
}

// A Preview is what a campaign would come to.
type Preview struct {
	Chosen []Chosen
	Roles  map[string]int // how many certificates each role has among them
	// Orders is how many new orders are placed at most; Reissues how many replacements may be
	// within what is paid for. Behind are those of which a newer one takes the place.
	Orders, Reissues, Behind int
	// Cost is what the orders cost; Unpriced are the roles whose price is not known, with why.
	Cost     money.Amount
	Currency string
	Unpriced []string
	// Took is how long the campaign takes at least, by PerHour.
	Took time.Duration
}

// Start makes a campaign, or with dryRun only says what it would come to. One of the same name that
// is not over is not touched.
func Start(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, dryRun bool,
) (*Preview, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	unlock, err := r.writes.Lock(ctx, c.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	before, err := Read(ctx, s, c.Name)
	if err != nil {
		return nil, err
	}
	if before != nil && !dryRun {
		return nil, fault.BadField("campaign", "%q is there already, %s: what a campaign is about "+
			"is not changed. Delete it once it is over, or give this one another name",
			c.Name, before.State)
	}
	p, err := foresee(ctx, r, s, c)
	if err != nil || dryRun {
		return p, err
	}
	if err := admit(c, p); err != nil {
		return nil, err
	}
	c.CreatedAt, c.ChangedAt = r.Now(), r.Now()
	if err := eraseParts(ctx, s, c.Name); err != nil {
		return nil, err
	}
	n := 0
	for part := range slices.Chunk(p.Chosen, partSize) {
		key := fmt.Sprintf("%s%s/%06d", partPrefix, c.Name, n)
		if err := store.Put(ctx, s, key, &Part{Version: 1, Chosen: part}); err != nil {
			return nil, err
		}
		n++
	}
	return p, put(ctx, s, c)
}

// admit returns an error when a campaign would come to more than it may, or to nothing.
func admit(c *Campaign, p *Preview) error {
	most, err := money.Parse("0")
	if c.Plan.MaxSpend != "" {
		most, err = money.Parse(c.Plan.MaxSpend)
	}
	switch {
	case err != nil:
		return fault.BadField("max_spend", "is no amount of money, such as 250.00")
	case len(p.Chosen) == 0:
		return fault.BadField("roles", "no live certificate of this mount is selected")
	case c.Plan.MaxCertificates > 0 && len(p.Chosen) > c.Plan.MaxCertificates:
		return fault.BadField("max_certificates", "%d certificates are selected: dry_run=true "+
			"lists them", len(p.Chosen))
	case c.Plan.MaxSpend != "" && len(p.Unpriced) > 0:
		return fault.BadField("max_spend", "what the replacements cost is not known: %s. "+
			"product_prices at <mount>/config gives prices", strings.Join(p.Unpriced, "; "))
	case c.Plan.MaxSpend != "" && p.Cost > most:
		return fault.BadField("max_spend", "the replacements cost up to %s", p.Cost)
	}
	return nil
}

// foresee says what a campaign would come to.
func foresee(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign,
) (*Preview, error) {
	chosen, err := choose(ctx, r, s, c)
	if err != nil {
		return nil, err
	}
	p := &Preview{Chosen: chosen, Roles: make(map[string]int)}
	bought := make(map[string][]Chosen)
	for _, one := range chosen {
		p.Roles[one.Role]++
		if one.Behind != "" {
			p.Behind++
		} else if one.Role != "" {
			bought[one.Role] = append(bought[one.Role], one)
		}
	}
	for _, role := range slices.Sorted(maps.Keys(p.Roles)) {
		if err := takesReason(ctx, r, s, c, role); err != nil {
			return nil, err
		}
	}
	for _, role := range slices.Sorted(maps.Keys(bought)) {
		if err := p.add(ctx, r, s, c, role, bought[role]); err != nil {
			return nil, err
		}
	}
	if c.Plan.PerHour > 0 {
		p.Took = time.Duration(p.Orders+p.Reissues) * time.Hour / time.Duration(c.Plan.PerHour)
	}
	return p, nil
}

// add adds what the replacements of a role's certificates come to.
func (p *Preview) add(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, name string, list []Chosen,
) error {
	role, err := roles.Read(ctx, s, name)
	if err != nil {
		return err
	}
	if role == nil {
		p.Unpriced = append(p.Unpriced, "role "+name+" is no more, and nothing is ordered under it")
		return nil
	}
	n := len(list)
	if role.Renewal == issuing.RenewalReissue && !c.Plan.Revoke {
		within, err := countWithin(ctx, r, s, name, list)
		if err != nil {
			return err
		}
		p.Reissues, n = p.Reissues+within, n-within
	}
	p.Orders += n
	if r.Price == nil || n == 0 {
		return nil
	}
	price, err := r.Price(ctx, s, name)
	if err != nil {
		return err
	}
	if !price.Known {
		p.Unpriced = append(p.Unpriced, "role "+name+": "+price.Unknown)
		return nil
	}
	p.Cost, p.Currency = p.Cost.Plus(price.Amount.Times(n)), price.Currency
	return nil
}

// takesReason returns an error when CERTInext does not take a campaign's reason for the
// certificates of a role, whether or not anything is bought for them.
func takesReason(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign, name string,
) error {
	if !c.Plan.Revoke || name == "" {
		return nil
	}
	role, err := roles.Read(ctx, s, name)
	if err != nil || role == nil {
		return err
	}
	client, _, err := r.Account.Client(ctx, s)
	if err != nil {
		return err
	}
	family := role.Shape().Family
	taken := certinext.Reasons(client, family)
	if slices.Contains(taken, c.Plan.Reason) {
		return nil
	}
	refused := certinext.UnsupportedReasonError{
		Reason: c.Plan.Reason, Family: family, Supported: taken,
	}
	return &fault.FieldError{Field: "reason", Problem: refused.Error()}
}

// eraseParts removes what is left of parts.
func eraseParts(ctx context.Context, s logical.Storage, name string) error {
	parts, err := store.List(ctx, s, partPrefix+name+"/")
	for _, part := range parts {
		if err == nil {
			err = store.Delete(ctx, s, partPrefix+name+"/"+part)
		}
	}
	return err
}
