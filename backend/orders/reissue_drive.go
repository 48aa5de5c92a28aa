// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// This file holds what driving an order does differently when it is a reissue.

// findReissue finds out whether CERTInext has taken a reissue whose answer was lost: then the order
// has another request id. That shows at once, but a call that is still under way may take minutes.
// It returns the zero remoteID while that is open, and [errNeverTaken] when the reissue was never
// taken.
func (d *driver) findReissue(ctx context.Context) (remoteID, error) {
	o := d.order
	remote, err := track(ctx, d.client, o, o.CAOrderID)
	switch {
	case err != nil:
		return remoteID{}, err
	case remote.Status == certinext.StatusRevoked:
		// The order exists, and tracking it ends the reissue.
		return remoteID{orderID: o.CAOrderID, requestID: o.CARequestID}, nil
	case remote.RequestID == "" && o.Reissue.RequestID != "":
		return remoteID{}, errors.New(
			"CERTInext does not say which request its order has come from")
	case remote.RequestID == "" || o.Reissue.RequestID == "":
		return remoteID{}, nil
	case remote.RequestID != o.Reissue.RequestID:
		return remoteID{orderID: o.CAOrderID, requestID: remote.RequestID}, nil
	case d.sinceAsked() > d.config.EffectiveAbsentAfter():
		return remoteID{}, fmt.Errorf("%w: %s later, its order %s is the same as before",
			errNeverTaken, phrase.Duration(d.config.EffectiveAbsentAfter()),
			sanitize.Short(o.CAOrderID))
	}
	return remoteID{}, nil
}

// reissuePatience is how long CERTInext may call an order or a reissue issued and deliver another
// certificate of the order.
const reissuePatience = 24 * time.Hour

// notReissued handles a download of another certificate than the reissue's. Until the new one is
// there, CERTInext delivers the previous one. When it does so for reissuePatience, or delivers a
// certificate of a reissue that was asked for elsewhere, a reissue that CERTInext has not confirmed
// was never taken.
func (d *driver) notReissued(
	ctx context.Context, bundle *certinext.Bundle,
) (done bool, out outcome) {
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
	if _, certain := d.journal.Account.Time(); !certain || now.Before(r.StaleSince.Add(patience)) {
		return false, outcome{}
	}
	if delivered != r.Serial {
		if err := d.reissuedElsewhere(ctx, delivered); err != nil {
			return true, outcome{err: err}
		}
	}
	cause := fmt.Errorf("%w: its order %s has another certificate",
		errNeverTaken, sanitize.Short(o.CAOrderID))
	return true, d.neverTaken(ctx, now, cause)
}

// reissuedElsewhere stores that the previous certificate was reissued outside of this mount, as the
// one of this serial number: revoking the previous one would revoke that, too.
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
	return d.journal.Certificates.Put(ctx, d.storage, c)
}

// recordPreviousRevoked stores that a reissue which CERTInext has certainly taken has revoked the
// previous certificate, if it was asked to. It is called when the reissue is taken, and again when
// the new certificate is downloaded, in case of a crash between CERTInext's answer and this write.
func (d *driver) recordPreviousRevoked(ctx context.Context) error {
	r := d.order.Reissue
	if r == nil || !r.RevokePrevious {
		return nil
	}
	return d.journal.Certificates.RecordSerial(
		ctx, d.storage, r.Serial, d.journal.Now(), r.RevokeReason)
}

// recordReplaced stores that CERTInext has revoked the certificate of which this order is a
// reissue.
func (d *driver) recordReplaced(ctx context.Context) error {
	certs, serial := d.journal.Certificates, d.order.Reissue.Serial
	unlock, err := certs.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, d.storage, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	at, reason := certificates.RevocationOf(d.remote, d.journal.Now())
	return certificates.RecordOutside(ctx, certs, d.storage, c, at, reason)
}

// revokedMeanwhile reports whether the certificate that a reissue replaces was revoked since the
// reissue was asked for, and not by it: then CERTInext's whole order is revoked.
func (d *driver) revokedMeanwhile(ctx context.Context) (bool, error) {
	r := d.order.Reissue
	if r == nil || r.RevokePrevious {
		return false, nil
	}
	c, err := certificates.Read(ctx, d.storage, r.Serial)
	return c != nil && c.Revocation != nil, err
}
