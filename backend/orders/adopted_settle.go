// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// mostCutShort bounds how many adoptions one call of [SettleAdoptions] settles.
const mostCutShort = 200

// SettleAdoptions ends adoptions of which a crash has left the order and not the certificate's
// entry: their orders would count as bought for good. The background pass calls it once a day. What
// is to be looked at is told by what is listed, so that storage is read of the few that are not as
// they should be. It does nothing while the lists are not whole, nor while the clock is in doubt
// (ADR 0022), and reports whether it has.
func SettleAdoptions(ctx context.Context, journal *Journal, s logical.Storage) (bool, error) {
	certs := journal.Certificates.Index
	if !certs.IsComplete() || !journal.Index.IsComplete() {
		return false, nil
	}
	var issued []index.Row
	journal.Index.Each(func(r index.Row) bool {
		if r.Serial != "" && !r.Unsaved {
			issued = append(issued, r)
		}
		return true
	})
	var errs []error
	settled := 0
	for _, r := range issued {
		id, err := adoptedID(r.Role, r.Serial)
		if err != nil || id != r.OrderID {
			continue // it was not adopted
		}
		found := certs.Find([]string{r.Serial})
		if c, has := found[r.Serial]; !has || c.OrderID == id || settled == mostCutShort {
			continue
		}
		if settled == 0 && !journal.Account.ConfirmClock(ctx, s) {
			return false, nil
		}
		settled++
		errs = append(errs, settleAdoption(ctx, journal, s, r.Role, r.Serial, id))
	}
	return true, errors.Join(errs...)
}

// settleAdoption deletes the order of an adoption that was cut short, unless the certificate has it
// by now. Whoever adopts at this moment has the certificate locked until both are stored. One that
// has expired or is revoked may have been tidied since, and taken in again by a synchronization:
// its order stays, as what was bought.
func settleAdoption(
	ctx context.Context, journal *Journal, s logical.Storage, role, serial, id string,
) error {
	unlock, err := journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, serial)
	now, certain := journal.Account.Time()
	if err != nil || c == nil || c.OrderID == id || c.Revocation != nil ||
		!certain || !c.NotAfter.After(now) {
		return err
	}
	o, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	if err != nil || o == nil || o.AdoptedAt.IsZero() {
		return err
	}
	journal.Log.Info("an adoption that was cut short is undone",
		"serial", serial, "role", role, "order_id", id)
	return endUnadopted(ctx, journal, s, o, role, serial, c)
}
