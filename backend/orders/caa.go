// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A CAA record (RFC 8659) says which CAs may issue for a domain and for those below it. CERTInext
// looks when a domain is validated, and again when it issues. Until the domain's owner changes the
// record nothing else that is done for the order helps, whatever its status asks for.

// forbiddenByCAA returns the domains of an order whose CAA records do not let CERTInext issue, in
// the order in which CERTInext lists them.
func forbiddenByCAA(remote *certinext.Order) []string {
	var out []string
	for _, d := range remote.Domains {
		if d.CAAFailed() {
			out = append(out, validation.DisplayDomain(d.Domain))
		}
	}
	return out
}

// caaNeed says who has to do what about the CAA records. CERTInext's documents do not say how a
// record names its CA; a public CA's practice statement has to.
func caaNeed(domains []string) string {
	return fmt.Sprintf("CERTInext may not issue for %s: a CAA record of that name, or of one "+
		"above it, names other CAs only; whoever owns the domain has to add a CAA record that "+
		"allows eMudhra's CA (its certification practice statement says by which name) or remove "+
		"the one that forbids it; an approval does not help, and CERTInext looks again by itself",
		sanitize.Enumerate(domains))
}

// observeCAA records which domains CERTInext may not issue for, for [orderEntry.waitsFor]. It
// reports whether there are some, and others than before.
func (o *orderEntry) observeCAA(now time.Time, remote *certinext.Order) (news bool) {
	forbidden := forbiddenByCAA(remote)
	if slices.Equal(forbidden, o.CAAForbids) {
		return false
	}
	if len(forbidden) > 0 {
		o.note(now, "CAA records do not let CERTInext issue for %s", sanitize.Enumerate(forbidden))
	} else {
		o.note(now, "CAA records let CERTInext issue for %s", sanitize.Enumerate(o.CAAForbids))
	}
	o.CAAForbids, o.dirty = forbidden, true
	return len(forbidden) > 0
}

// withCAA adds what the CAA records need to what an open order waits for. It takes the place of an
// approval, which would be given in vain.
func withCAA(next action, remote *certinext.Order) action {
	forbidden := forbiddenByCAA(remote)
	if next.step != stepWait || len(forbidden) == 0 {
		return next
	}
	need := []string{caaNeed(forbidden)}
	switch remote.Status {
	case certinext.StatusIssued:
		return next // CERTInext has issued in spite of it
	case certinext.StatusPendingApproval, certinext.StatusPendingVetting:
		next.needs = need
	default:
		next.needs = append(need, next.needs...)
	}
	return next
}

// warnOfCAA logs what an operator of Vault may have to pass on.
func (d *driver) warnOfCAA() {
	d.journal.Log.Warn("CAA records do not let CERTInext issue: the owner of the domain has to "+
		"allow it", "order_id", d.order.ID, "ca_order_id", d.order.CAOrderID,
		"domains", sanitize.Enumerate(d.order.CAAForbids))
}
