// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// Where the role says revoke_replaced_after, the certificate that a new order's has replaced is
// revoked some time after the new one was handed over (ADR 0041). Which one that is, is stored with
// the order before CERTInext hears of it, and how long after, too. When the certificate is handed
// over, the time is stored with the one that it replaces, and once more before the order is closed,
// in case the process died in between.

// isReplacing reports whether a role revokes what the certificate of a plan replaces.
func isReplacing(p *issuing.Plan) bool {
	return p.Role.RevokeReplacedAfter > 0 && p.Subject == nil && len(p.DNSNames) > 0
}

// isDue reports whether a certificate is due for its renewal, by CERTInext's clock where that is
// known.
func isDue(w *caller, c *certificates.Entry) bool {
	return renewal.IsDue(renewal.Life{NotBefore: c.NotBefore, NotAfter: c.NotAfter}, w.caNow())
}

// findReplaced finds the certificate that the request's new order replaces: the newest one of the
// same requester for the same names, if that is due for its renewal. Another one that is not due
// may be in use elsewhere, and no renewal has been asked for.
func findReplaced(ctx context.Context, w *caller) error {
	p := w.plan
	if !isReplacing(p) || p.Request.Draft || p.Request.Renews != "" || w.instead.of != "" {
		return nil
	}
	serial, err := renewal.Newest(ctx, w.storage, w.role.Name, namesOf(p))
	if err != nil || serial == "" {
		return err
	}
	c, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || c == nil {
		return err
	}
	isOwn := c.Role == w.role.Name && c.Requester == p.Request.Requester
	if isOwn && c.Revocation == nil && isDue(w, c) {
		w.instead.of, w.instead.due = serial, true
	}
	return nil
}

// setReplaced sets which certificate a new order's succeeds, and whether that one is revoked for
// it: it was named by who asked for its renewal, or was due, or will be once what is made ahead is
// asked for.
func setReplaced(o *orderEntry, p *issuing.Plan, instead successor) {
	if instead.of != "" {
		o.Renews = instead.of
	}
	if instead.ahead != nil && o.Renews == "" {
		o.Renews = instead.ahead.Serial
	}
	if instead.replaces != nil {
		o.Renews = instead.replaces.Serial
	}
	isMeant := p.Request.Renews != "" || instead.due || instead.ahead != nil ||
		instead.replaces != nil
	if o.Renews != "" && isReplacing(p) && isMeant {
		o.RevokeReplaced = p.Role.RevokeReplacedAfter
	}
}

// scheduleReplaced stores when the certificate that c, which was handed over, has replaced is to be
// revoked, and returns that. The caller holds the lock of c.
func scheduleReplaced(
	ctx context.Context, h *heldOrder, c *certificates.Entry,
) (time.Time, error) {
	o := h.entry
	if o.RevokeReplaced == 0 || o.Renews == "" || o.Reissue != nil || o.Renews == c.Serial {
		return time.Time{}, nil
	}
	return certificates.ScheduleReplaced(ctx, h.journal.Certificates, h.storage, o.Renews, c,
		o.RevokeReplaced)
}

// tellReplaced is scheduleReplaced for an answer, which says what becomes of the certificate that
// was replaced.
func tellReplaced(
	ctx context.Context, h *heldOrder, c *certificates.Entry, issued *Issued,
) {
	at, err := scheduleReplaced(ctx, h, c)
	if err != nil {
		h.journal.Log.Warn("when a replaced certificate is to be revoked could not be stored; "+
			"it is when the order is closed", "order_id", h.id, "error", err)
	}
	if at.IsZero() {
		return
	}
	serial := strings.ReplaceAll(h.entry.Renews, "-", ":")
	issued.Warnings = append(issued.Warnings, fmt.Sprintf("certificate %s, which this one "+
		"replaces, is to be revoked at %s (revoke_replaced_after of the role), unless a lease on "+
		"it runs then: vault write <mount>/revoke/%s serial_number=%s keep=true keeps it valid",
		serial, at.UTC().Format(time.RFC3339), h.entry.Role, serial))
}
