// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A CheckReport is the result of [Account.CheckConfig].
type CheckReport struct {
	AccountNumber string
	AuthType      string
	Latency       time.Duration // of the identity call, token exchange included
	Products      []certinext.Product
	Held          bool // see [ErrHeld]
	// Problems are messages for an operator; there are none when all is well.
	Problems []string
}

// CheckConfig asks CERTInext who the account is and what it may order, and uses no cached answer.
// An account that does not work yields a report with problems, not an error.
func (acct *Account) CheckConfig(ctx context.Context, s logical.Storage) (*CheckReport, error) {
	a, err := acct.Session(ctx, s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := WhileAsked(ctx)
	defer cancel()
	r := new(CheckReport)
	if held := acct.MayChange(); held != nil {
		r.Held = true
		r.Problems = append(r.Problems, held.Error())
	}
	start := acct.Now()
	me, err := a.Client.Me(ctx)
	r.Latency = acct.Now().Sub(start)
	if err != nil {
		r.Problems = append(r.Problems, err.Error())
		return r, nil
	}
	r.AccountNumber, r.AuthType = me.Number, me.AuthType
	if problem := acct.clockProblem(); problem != "" {
		r.Problems = append(r.Problems, problem)
	}
	r.Products, _, err = acct.CatalogProducts(ctx, a, a.Config.GroupNumber, true)
	switch {
	case err != nil:
		r.Problems = append(r.Problems, err.Error())
	case len(r.Products) == 0:
		r.Problems = append(r.Problems, "the account's catalog is empty: "+
			"no product can be ordered; some accounts need a group_number")
	}
	return r, nil
}
