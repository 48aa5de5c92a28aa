// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// What driving an order does differently when it is a reissue.

// findReissue finds out whether CERTInext has taken a reissue whose answer was lost. The order itself says so at once, but a call
// that is still under way may take minutes.
func (d *driver) findReissue(ctx context.Context) (remoteID, error) {
	o := d.order
	remote, err := d.client.TrackOrder(ctx, o.Placement.Family, o.CAOrderID)
	switch {
	case err != nil:
		return remoteID{}, err
	case remote.Status == certinext.StatusRevoked:
		return remoteID{orderID: o.CAOrderID, requestID: o.CARequestID}, nil // the next look ends it
	case remote.RequestID == "" || o.Reissue.RequestID == "":
		return remoteID{}, nil
	case remote.RequestID != o.Reissue.RequestID:
		return remoteID{orderID: o.CAOrderID, requestID: remote.RequestID}, nil
	case d.journal.Now().After(d.knownSince().Add(d.config.EffectiveAbsentAfter())):
		return remoteID{}, fmt.Errorf("%w: %s later, its order %s is the same as before", errNeverTaken, d.config.EffectiveAbsentAfter(), sanitize.Short(o.CAOrderID))
	}
	return remoteID{}, nil
}

// reissuePatience is how long CERTInext may say that a reissue is issued, and deliver the certificate before.
const reissuePatience = 24 * time.Hour

// notReissued handles a download that holds another certificate than the reissue's. It is the one before until the new one is there.
// When that lasts, or a third party's is there, a reissue that CERTInext never confirmed was never taken.
func (d *driver) notReissued(ctx context.Context, bundle *certinext.Bundle) (done bool, out outcome) {
	o, r, now := d.order, d.order.Reissue, d.journal.Now()
	o.note(now, "issued, but CERTInext still delivers another certificate of the order")
	if r.StaleSince.IsZero() {
		r.StaleSince = now
	}
	certs, err := certificates.Parse([]string{bundle.Certificate})
	if err != nil || len(certs) == 0 || r.Taken {
		return false, outcome{}
	}
	delivered, patience := serials.Key(certs[0].SerialNumber), reissuePatience
	if delivered != r.Serial {
		patience = d.config.EffectiveAbsentAfter()
	}
	if now.Before(r.StaleSince.Add(patience)) {
		return false, outcome{}
	}
	if delivered != r.Serial {
		if err := d.reissuedElsewhere(ctx, delivered); err != nil {
			return true, outcome{err: err}
		}
	}
	return true, d.neverTaken(ctx, now, fmt.Errorf("%w: its order %s has another certificate", errNeverTaken, sanitize.Short(o.CAOrderID)))
}

// reissuedElsewhere stores that the certificate before was reissued by somebody else, whose certificate would be revoked with it.
func (d *driver) reissuedElsewhere(ctx context.Context, as string) error {
	serial := d.order.Reissue.Serial
	unlock, err := d.journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, d.storage, serial)
	if err != nil || c == nil {
		return err
	}
	c.ReissuedAs = as
	return store.Put(ctx, d.storage, c.Key(), c)
}

// recordPreviousRevoked stores that a reissue which CERTInext has certainly taken has revoked the certificate before, if it was to: once when
// it is taken, and again with the new certificate, in case that a crash came between.
func (d *driver) recordPreviousRevoked(ctx context.Context) error {
	r := d.order.Reissue
	if r == nil || !r.RevokePrevious {
		return nil
	}
	return d.journal.Certificates.RecordSerial(ctx, d.storage, r.Serial, d.journal.Now(), r.RevokeReason)
}

// recordReplaced stores that CERTInext has revoked the order of which this one is a reissue.
func (d *driver) recordReplaced(ctx context.Context) error {
	e, serial := d.journal, d.order.Reissue.Serial
	unlock, err := e.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, d.storage, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	at, reason := certificates.RevocationOf(d.remote, e.Now())
	return e.Certificates.RecordRevocation(ctx, d.storage, c, at, reason)
}

// revokedMeanwhile reports whether the certificate that a reissue replaces was revoked after the reissue was asked for, and not by it: then
// the whole order is revoked.
func (d *driver) revokedMeanwhile(ctx context.Context) (bool, error) {
	r := d.order.Reissue
	if r == nil || r.RevokePrevious {
		return false, nil
	}
	c, err := certificates.Read(ctx, d.storage, r.Serial)
	return c != nil && c.Revocation != nil, err
}
