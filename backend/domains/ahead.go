// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// KeepUntil has a domain validated until a time, for an order that is expected by then (ADR 0040).
// Afterwards it is forgotten here. It does nothing for a domain that somebody has registered, and
// for one that is validated for as long already, by itself or by a domain above it. The error says
// why it cannot be begun; how it goes on is shown with the domain.
func (keeper *Keeper) KeepUntil(
	ctx context.Context, s logical.Storage, w Registration, until time.Time,
) error {
	_, cfg, err := keeper.Account.Client(ctx, s)
	if err != nil {
		return err
	}
	now := keeper.Now()
	w.Name = strings.ToLower(strings.TrimPrefix(w.Name, "*."))
	w.OrganizationNumber = cmp.Or(w.OrganizationNumber, cfg.OrganizationNumber)
	w.Keep = true
	w.RenewBefore = max(time.Hour, min(until.Sub(now), longestRenewBefore))
	if cfg.Version() == certinext.V1 {
		return fault.BadField("renew_ahead", "cannot validate domains with version 1 of the API "+
			"(api_version of config): add them in CERTInext's portal")
	}
	if err := w.validate(); err != nil {
		return err
	}
	unlock, err := keeper.domainLocks.Lock(ctx, w.Name)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := store.Get[stored](ctx, s, prefix+w.Name)
	switch {
	case err != nil:
		return err
	case r != nil && (r.Until.IsZero() || !r.Until.Before(until)):
		return nil
	case r == nil:
		covered, err := keeper.isCovered(ctx, s, w.Name, w.OrganizationNumber, until)
		if err != nil || covered {
			return err
		}
		r = &stored{Account: cfg.Account(), fresh: true}
	}
	r.naming = r.fresh || r.DNS.Solver != w.DNS.Solver
	r.apply(&w)
	r.Until, r.NextAt = until, time.Time{}
	_, err = keeper.validate(ctx, s, r, now)
	return err
}

// isCovered reports whether CERTInext has a domain, or one above it, as validated until a time.
func (keeper *Keeper) isCovered(
	ctx context.Context, s logical.Storage, name, organization string, until time.Time,
) (bool, error) {
	look := func(ctx context.Context, a *account.Session) (bool, error) {
		for zone := name; strings.Contains(zone, "."); _, zone, _ = strings.Cut(zone, ".") {
			v := &validator{
				keeper: keeper, storage: s, client: a.Client,
				entry: &stored{Name: zone, OrganizationNumber: organization},
			}
			if err := v.find(ctx); err != nil {
				return false, err
			}
			if isValidated(v.remote, until) {
				return true, nil
			}
		}
		return false, nil
	}
	return account.Ask(ctx, keeper.Account, s, look)
}

// isOver reports whether a domain was to be kept until a time that has passed.
func (r *stored) isOver(now time.Time) bool { return !r.Until.IsZero() && now.After(r.Until) }
