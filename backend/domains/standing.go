// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"context"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Validity is until when a registered domain is validated, as this mount has seen it last.
type Validity struct {
	Name      string
	ValidTill time.Time // zero when it is not validated, or CERTInext does not say
	Kept      bool      // the background pass validates it anew in time
	Failing   bool      // the latest attempt to validate it has failed
}

// maxLooked is how many registered domains one [Validities] reads.
const maxLooked = 100

// Validities returns until when the registered domains are validated, by name. It reads the list
// and up to 100 entries: of more domains, it returns what the latest pass has read of them. whole
// is false when that is not all.
func Validities(
	ctx context.Context, keeper *Keeper, s logical.Storage,
) (all []Validity, whole bool, err error) {
	names, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, false, err
	}
	slices.Sort(names)
	if seen := keeper.seen.Load(); len(names) > maxLooked && seen != nil {
		return *seen, len(*seen) == len(names), nil
	}
	for _, name := range names[:min(len(names), maxLooked)] {
		r, err := store.Get[stored](ctx, s, prefix+name)
		if err != nil {
			return nil, false, err
		}
		if r != nil {
			all = append(all, r.validity())
		}
	}
	return all, len(names) <= maxLooked, nil
}

func (r *stored) validity() Validity {
	return Validity{
		Name: r.Name, ValidTill: r.ValidTill, Kept: r.inBackground(), Failing: r.Attempts > 0,
	}
}
