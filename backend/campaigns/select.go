// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// spell spells serial numbers and keys as they are stored.
func (q *Selection) spell() error {
	for i, text := range q.Serials {
		serial, err := serials.Parse("serial_numbers", text)
		if err != nil {
			return err
		}
		q.Serials[i] = serial
	}
	keys, err := trust.ParseKeys("ca_keys", q.CAKeys)
	q.CAKeys = nil
	for _, key := range keys {
		q.CAKeys = append(q.CAKeys, string(key))
	}
	slices.Sort(q.Serials)
	q.Serials = slices.Compact(q.Serials)
	return err
}

// A Chosen is a certificate that a campaign selects.
type Chosen struct {
	Serial   string    `json:"serial"` // with dashes
	Role     string    `json:"role"`
	NotAfter time.Time `json:"not_after"`
	Behind   string    `json:"behind,omitempty"` // see [Item]
	// Names are not stored.
	Names []string `json:"-"`
}

// matches reports whether a row is selected, as far as the row says.
func (q *Selection) matches(r *index.Row, now time.Time) bool {
	has := func(list []string, value string) bool {
		return len(list) == 0 || slices.Contains(list, value)
	}
	switch {
	case !r.Revoked.IsZero(), !r.NotAfter.After(now):
		return false
	case r.Role == "" && !q.Synchronized:
		return false
	case len(q.Serials) > 0 && !has(q.Serials, r.Serial):
		return false
	}
	isRole := has(q.Roles, r.Role) || slices.Contains(q.Roles, "*")
	return isRole && has(q.Issuers, r.Issuer) && has(q.KeyTypes, r.KeyType)
}

// whose is what the newest certificate of a requester for the same names is found by.
func whose(r *index.Row) string {
	names := slices.Sorted(slices.Values(r.Names))
	return strings.Join(append([]string{r.Role, r.Requester, r.KeyType}, names...), "\n")
}

// choose returns the certificates that a campaign selects, the first to be replaced first. The
// error is for a request that comes too early: what is listed is still being read.
func choose(
	ctx context.Context, r *Runner, s logical.Storage, c *Campaign,
) ([]Chosen, error) {
	x := r.Certificates.Index
	x.Await(ctx, s)
	if !x.IsComplete() {
		return nil, &fault.RefusedError{Err: errors.New("what this mount has stored is still " +
			"being read after its start, and a campaign has to see all of it: try again in a " +
			"minute")}
	}
	isBelow, err := byAbove(ctx, r, s, &c.Selection)
	if err != nil {
		return nil, err
	}
	now, rows := r.Now(), []index.Row(nil)
	newest := make(map[string]index.Row)
	x.Each(func(row index.Row) bool {
		if row.Role != "" && row.Revoked.IsZero() && !row.Held && row.NotAfter.After(now) {
			if at, has := newest[whose(&row)]; !has || isNewer(&row, &at) {
				newest[whose(&row)] = row
			}
		}
		if c.Selection.matches(&row, now) && isBelow(&row) {
			rows = append(rows, row)
		}
		return true
	})
	chosen := make([]Chosen, 0, len(rows))
	for i := range rows {
		row := &rows[i]
		is, err := isOfProduct(ctx, r, s, &c.Selection, row)
		if err != nil {
			return nil, err
		}
		if !is {
			continue
		}
		out := Chosen{
			Serial: row.Serial, Role: row.Role, NotAfter: row.NotAfter, Names: row.Names,
		}
		at := newest[whose(row)]
		if !c.Selection.Each && at.Serial != row.Serial && row.Role != "" {
			out.Behind = at.Serial
		}
		chosen = append(chosen, out)
	}
	if err := unknownSerial(c, chosen); err != nil {
		return nil, err
	}
	if c.Plan.Revoke {
		if chosen, err = withNewest(ctx, r, s, chosen); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(chosen, func(a, b Chosen) int {
		return strings.Compare(keyFor(&c.Plan, a.Role, a.Serial, a.NotAfter),
			keyFor(&c.Plan, b.Role, b.Serial, b.NotAfter))
	})
	return chosen, nil
}

// isNewer reports whether a certificate begins later than another one.
func isNewer(a, b *index.Row) bool {
	if !a.NotBefore.Equal(b.NotBefore) {
		return a.NotBefore.After(b.NotBefore)
	}
	return a.Serial > b.Serial
}

// unknownSerial returns an error about the first serial number that names no certificate that can
// be replaced: whoever has listed it counts on that.
func unknownSerial(c *Campaign, chosen []Chosen) error {
	found := make(map[string]bool, len(chosen))
	for _, one := range chosen {
		found[one.Serial] = true
	}
	for _, serial := range c.Selection.Serials {
		if !found[serial] {
			return fault.BadField("serial_numbers", "%s is no live certificate of this mount that "+
				"the other filters select: those that were ordered elsewhere need "+
				"include_synchronized=true", colons(serial))
		}
	}
	return nil
}

// isOfProduct reports whether a certificate was ordered as one of the products of a selection,
// which the row does not say.
func isOfProduct(
	ctx context.Context, r *Runner, s logical.Storage, q *Selection, row *index.Row,
) (bool, error) {
	if len(q.Products) == 0 {
		return true, nil
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	c, err := certificates.Read(ctx, s, row.Serial)
	if err != nil || c == nil {
		return false, err
	}
	product := c.ProductCode
	o, err := r.Orders.Order(ctx, s, c.Role, c.OrderID)
	if err != nil {
		return false, err
	}
	if o != nil {
		product = o.ProductCode
	}
	return slices.Contains(q.Products, product), nil
}
