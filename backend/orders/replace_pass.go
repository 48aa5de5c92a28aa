// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// replaceAgain is how long it takes until a replacement is tried again, or looked at, that could
// not be made, or is under way.
const replaceAgain = 10 * time.Minute

// replaceAhead is the pass's work on a certificate that is to be replaced before its time. It has
// read what is filed, and it is not over. What decides is somebody's word, and no clock.
func replaceAhead(ctx context.Context, a *aheadRun) error {
	later := func() error {
		return ahead.Move(ctx, a.storage, a.key, a.journal.Now().Add(replaceAgain), a.wanted)
	}
	if waits := a.journal.MayReplace; waits != nil {
		may, err := waits(ctx, a.storage, a.cert.Replacement.For)
		if err != nil {
			return err
		}
		if !may {
			return later()
		}
	}
	over, why := replaceNow(ctx, a)
	if store.IsFault(why) || ctx.Err() != nil {
		return why // the next pass tries again
	}
	if err := a.tell(ctx, why); err != nil {
		return err
	}
	if over {
		return ahead.Remove(ctx, a.storage, a.key)
	}
	return later()
}

// replaceNow makes the replacement of a certificate, or what can be done ahead of it. The error is
// why that is not possible now, or at all when over is set.
func replaceNow(ctx context.Context, a *aheadRun) (over bool, why error) {
	gone, err := a.requesterIsGone()
	if a.wanted.Asked.EntityID == "" {
		gone, err = true, errors.New("its requester has no identity entity: nobody could tell "+
			"whether it is still there")
	}
	if gone {
		why := err.Error()
		stored := noteReplacement(ctx, a, func(r *certificates.Replacement) { r.Gone = why })
		if stored != nil {
			return false, stored
		}
	}
	if err != nil {
		return gone, err
	}
	if a.cert.Replacement.ByRequest {
		if len(a.wanted.Asked.DNSNames) == 0 {
			return true, nil
		}
		return a.validate(ctx)
	}
	w, err := a.journal.requestCaller(ctx, a.storage, a.wanted.Asked.Request(a.role.Name),
		forPlacement)
	if err != nil {
		return false, err
	}
	w.instead.ahead, w.instead.replaces = a.wanted, a.cert
	return orderReplacement(ctx, a, w)
}

// orderReplacement places the order for a replacement, unless it is open already, or the requester
// has another one that is, or whose certificate waits. It reports whether it is over.
func orderReplacement(ctx context.Context, a *aheadRun, w *caller) (over bool, err error) {
	id, err := a.orderID()
	if err != nil {
		return false, err
	}
	if err := a.journal.registry.load(ctx, a.storage); err != nil {
		return false, err
	}
	_, isOpen := a.journal.registry.peek(func(t *tracked) bool {
		return t.id == id || (t.renews == a.wanted.Serial && t.handed == nil)
	})
	if isOpen {
		return false, nil
	}
	unneeded, err := notNeeded(ctx, a)
	switch {
	case err != nil:
		return false, err
	case unneeded != "":
		return true, endReplacement(ctx, a, unneeded)
	}
	closed, err := store.Get[orderEntry](ctx, a.storage, closedOrderPrefix+a.role.Name+"/"+id)
	if err != nil {
		return false, err
	}
	if closed != nil && closed.State != StateFailed {
		why := fmt.Sprintf("its replacement, order %s, is %s", closed.ID, closed.State.said())
		return true, errors.Join(errors.New(why), endReplacement(ctx, a, why))
	}
	w.passed[a.cert.OrderID] = true // it is open for as long as its certificate may be asked for
	return a.order(ctx, w)
}

// overReplaced stores that a certificate is not replaced any more, or was. The caller holds its
// lock.
func overReplaced(ctx context.Context, a *aheadRun, why string) error {
	c := a.cert
	if c.RenewedBy == "" {
		c.Replacement.Over = why
		if err := a.journal.Certificates.Put(context.WithoutCancel(ctx), a.storage, c); err != nil {
			return err
		}
	}
	return forgetReplaced(ctx, a)
}

// endReplacement is overReplaced for a caller that does not hold the certificate's lock.
func endReplacement(ctx context.Context, a *aheadRun, why string) error {
	err := noteReplacement(ctx, a, func(r *certificates.Replacement) { r.Over = why })
	if err != nil {
		return err
	}
	return forgetReplaced(ctx, a)
}

// forgetReplaced has no request look for what it replaces of the certificate any more.
func forgetReplaced(ctx context.Context, a *aheadRun) error {
	names := withAddresses(a.wanted.Asked.DNSNames, nil)
	names = append(names, a.wanted.Asked.IPs...)
	return a.journal.replacing.Forget(ctx, a.storage, a.wanted.Role,
		namesToReplace(a.wanted.Role, a.wanted.Asked.Requester, names), a.wanted.Serial)
}

// noteReplacement changes what is stored of a certificate's replacement.
func noteReplacement(
	ctx context.Context, a *aheadRun, change func(*certificates.Replacement),
) error {
	return certificates.Change(ctx, a.journal.Certificates, a.storage, a.wanted.Serial,
		func(c *certificates.Entry) bool {
			if c.Replacement == nil {
				return false
			}
			before := *c.Replacement
			change(c.Replacement)
			return before != *c.Replacement
		})
}

// giveWay removes the record of an order that CERTInext certainly never took, so that another
// attempt takes its id. It reports whether the order came to anything else. The caller holds the
// id, so that no other order of that id is being closed at this moment.
func giveWay(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string,
) (over bool, err error) {
	closed, err := store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	if err != nil || closed == nil {
		return false, err
	}
	if closed.State != StateFailed {
		return true, nil
	}
	if closed.Presumed {
		return false, refile(ctx, journal, s, closed)
	}
	defer doubt(journal, role, id)
	return false, store.Delete(ctx, s, closed.closedKey())
}

// waitsInstead returns which open orders have a successor wait: those that the request would come
// to, but for one whose certificate was handed over, where the successor replaces that.
func waitsInstead(w *caller) func(*tracked) bool {
	serves := w.serves()
	if w.instead.replaces == nil {
		return serves
	}
	return func(t *tracked) bool { return t.handed == nil && serves(t) }
}

// isStillReplacing returns an error when an order that waits for its approval was made for a
// campaign that was paused or aborted since: it buys nothing then.
func isStillReplacing(ctx context.Context, h *heldOrder) error {
	o := h.entry
	if !o.Ahead || !o.Replaces {
		return nil
	}
	c, err := certificates.Read(ctx, h.storage, o.Renews)
	switch {
	case err != nil || c == nil:
		return err
	case c.Replacement == nil:
		return fault.BadField("decision", "the campaign that wants certificate %s replaced was "+
			"aborted: decision=reject ends the order", withColons(o.Renews))
	case h.journal.MayReplace == nil:
		return nil
	}
	may, err := h.journal.MayReplace(ctx, h.storage, c.Replacement.For)
	if err == nil && !may {
		err = fault.BadField("decision", "campaign %s, which wants certificate %s replaced, does "+
			"not run: resume it first, or decision=reject ends the order",
			c.Replacement.For, withColons(o.Renews))
	}
	return err
}
