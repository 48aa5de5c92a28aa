// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"strings"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// The record of an order that CERTInext refused says why, to whoever asks later. A client that
// sends the same refused request again and again would leave a record each time: only the latest is
// kept.

// maxRefused bounds the requests whose latest refusal is remembered.
const maxRefused = 1000

// refusedOrders knows the storage key of the latest refused order of each request, as far as this
// process has closed it. A restart forgets them, and leaves at most one more record of each
// request.
type refusedOrders struct {
	mu   sync.Mutex
	last map[string]string // storage key by fingerprint
}

// replace notes the storage key of a request's refused order. It returns that of the one before, or
// nothing when there was none.
func (r *refusedOrders) replace(fingerprint, key string) (before string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || len(r.last) >= maxRefused {
		r.last = make(map[string]string)
	}
	before = r.last[fingerprint]
	r.last[fingerprint] = key
	return before
}

// neverTaken reports whether CERTInext has certainly nothing of a closed order: it has no number,
// no certificate, and no draft.
func (o *orderEntry) neverTaken() bool {
	if o.endedUnsent() || o.Presumed {
		return !o.Presumed
	}
	return o.State == StateFailed && o.CAOrderID == "" && o.CARequestID == "" && o.Serial == ""
}

// forgetRefusedBefore removes the record of the refused order that the same request left before o,
// which is closed now. Named requests keep theirs: each name has one.
func (journal *Journal) forgetRefusedBefore(
	ctx context.Context, s logical.Storage, o *orderEntry,
) error {
	if !o.neverTaken() || o.RequestID != "" || o.Reissue != nil || o.Ahead {
		return nil
	}
	if before := journal.refused.replace(o.Fingerprint, o.closedKey()); before != "" {
		defer journal.Index.Doubt(strings.TrimPrefix(before, closedOrderPrefix))
		return store.Delete(context.WithoutCancel(ctx), s, before)
	}
	return nil
}

// forgetNeverTaken removes the record of a closed order that CERTInext never took, because somebody
// deletes it, and returns the order as it was. It returns nil for any other order.
func (journal *Journal) forgetNeverTaken(
	ctx context.Context, s logical.Storage, role, id string,
) (*Order, error) {
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	if err != nil || o == nil || !o.neverTaken() {
		return nil, err
	}
	if err := settleBefore(ctx, journal, s, o); err != nil {
		return nil, err
	}
	defer doubt(journal, role, id)
	return o.view(), store.Delete(context.WithoutCancel(ctx), s, o.closedKey())
}

// settleBefore has an order that may be paid for count as one that is, before its record is
// removed.
func settleBefore(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	if o.costsNothing() {
		return nil
	}
	return settlePurchases(ctx, journal, s)
}
