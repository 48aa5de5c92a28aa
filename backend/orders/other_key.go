// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// deliversOtherKey reports whether the order is over since CERTInext has given its number to
// another key for good: somebody has reissued it in CERTInext's portal, or this mount has, and a
// snapshot from before was restored. Its records have to show the number as the order's, the clock
// has to be right, and a day has to pass in which CERTInext delivers no other certificate: what
// follows cannot be undone, and it may have made a mistake. Then none for the order's key comes.
func deliversOtherKey(ctx context.Context, d *driver) bool {
	o := d.order
	if o.Adopted || d.order.whoseNumber(d.numberInRecords(ctx)) != numberOwn {
		return false
	}
	now, certain := d.journal.Account.Time()
	if !certain {
		return false
	}
	if o.OtherKeySince.IsZero() || o.OtherKeySince.After(now) {
		o.OtherKeySince, o.dirty = now, true
	}
	return !now.Before(o.OtherKeySince.Add(reissuePatience))
}

// otherKeyNeeds says that the order is about to be over; nil when it is not.
func otherKeyNeeds(o *orderEntry) []string {
	if o.OtherKeySince.IsZero() {
		return nil
	}
	return []string{fmt.Sprintf("CERTInext delivers a certificate for another key: the order is "+
		"over if it still does at %s",
		o.OtherKeySince.Add(reissuePatience).UTC().Format(time.RFC3339))}
}

// endReplaced closes an order whose number has a certificate for another key for good. Whether
// anybody uses that certificate cannot be told, so it is left alone.
func endReplaced(ctx context.Context, d *driver) outcome {
	o, number := d.order, sanitize.Short(d.order.CAOrderID)
	why := fmt.Sprintf("CERTInext has reissued its order %s for another key, outside of what this "+
		"mount remembers; no certificate for this order's key will come", number)
	d.remote, o.LastError = nil, why // a remark of CERTInext's says less
	if err := d.end(ctx, StateReplaced); err != nil {
		return outcome{err: err}
	}
	return outcome{err: &fault.RefusedError{Err: fmt.Errorf(
		"order %s is over: %s. A new request buys another one", o.ID, why)}}
}
