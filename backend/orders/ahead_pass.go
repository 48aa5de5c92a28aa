// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// AheadDue lists the background pass's work on successors that are to be made ahead, the longest
// overdue first, and at most limit jobs. They call CERTInext.
func AheadDue(
	ctx context.Context, journal *Journal, s logical.Storage, limit int,
) ([]host.Job, error) {
	keys, err := ahead.Due(ctx, s, journal.Now(), limit)
	var jobs []host.Job
	for _, key := range keys {
		jobs = append(jobs, func(ctx context.Context) error {
			return renewAhead(ctx, journal, s, key)
		})
	}
	return jobs, err
}

// An aheadRun is the background pass's work on one certificate whose successor is due.
type aheadRun struct {
	journal *Journal
	storage logical.Storage
	key     string // of wanted
	wanted  *ahead.Wanted
	role    *issuing.Role // nil when it is no more
	cert    *certificates.Entry
}

// renewAhead makes a certificate's successor, or what can be done ahead of it, unless it is over or
// not due by CERTInext's clock. What was made stays filed until the successor is issued, so that
// what comes to nothing is made again.
func renewAhead(ctx context.Context, journal *Journal, s logical.Storage, key string) error {
	ctx, cancel := context.WithTimeout(ctx, doubtPatience)
	defer cancel()
	a := &aheadRun{journal: journal, storage: s, key: key}
	over, err := a.read(ctx)
	switch {
	case err != nil:
		return err
	case over:
		return ahead.Remove(ctx, s, key)
	}
	if a.cert.Replacement != nil {
		return replaceAhead(ctx, a)
	}
	start := ahead.Start(a.role, a.cert.View().RenewAfter, a.wanted.Life())
	switch {
	case start.After(journal.Now()): // the role was changed
		return ahead.Move(ctx, s, key, start, a.wanted)
	case !a.isCertain(ctx, start):
		return nil // our clock alone buys nothing (ADR 0022)
	}
	over, why := a.make(ctx)
	switch {
	case store.IsFault(why), ctx.Err() != nil:
		return why // the next pass tries again
	case over && why == nil:
		return ahead.Remove(ctx, s, key)
	}
	if err := a.tell(ctx, why); err != nil {
		return err
	}
	if over {
		return ahead.Remove(ctx, s, key)
	}
	return ahead.Move(ctx, s, key, ahead.Again(journal.Now(), a.wanted.Life()), a.wanted)
}

// read reads what is filed, and reports whether no successor is to be made any more.
func (a *aheadRun) read(ctx context.Context) (over bool, err error) {
	a.wanted, err = ahead.Get(ctx, a.storage, a.key)
	if err != nil || a.wanted == nil {
		return err == nil, err
	}
	a.role, err = roles.Read(ctx, a.storage, a.wanted.Role)
	if err != nil {
		return false, err
	}
	now, _ := a.earlier(ctx) // or zero, by which nothing is over
	unlock, err := a.journal.Certificates.Lock(ctx, a.wanted.Serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	a.cert, err = certificates.Read(ctx, a.storage, a.wanted.Serial)
	if err != nil || a.cert == nil || a.cert.Requester != a.wanted.Asked.Requester {
		return err == nil, err
	}
	f, err := a.facts(ctx, now)
	if err != nil {
		return false, err
	}
	why := ahead.Over(a.role, f)
	if why != "" && !f.Succeeded && !f.Replaced {
		a.journal.Log.Info("no successor of a certificate is made ahead of the request for it",
			"role", a.wanted.Role, "serial", a.cert.View().Serial, "why", why)
	}
	if why != "" && f.Replaced {
		err = overReplaced(ctx, a, why)
	}
	return why != "", err
}

// facts returns what is known of the certificate at a time. The caller holds its lock.
func (a *aheadRun) facts(ctx context.Context, now time.Time) (ahead.Facts, error) {
	c := a.cert
	f := ahead.Facts{
		Now: now, NotAfter: c.NotAfter,
		Revoked: c.Revocation != nil, Held: len(c.Held) > 0,
		Succeeded: c.RenewedBy != "" || c.ReissuedAs != "",
	}
	if r := c.Replacement; r != nil && r.Over == "" {
		f.Replaced, f.ThoughRevoked = true, r.ThoughRevoked
	}
	if c.Delivery != nil {
		f.LastAsked = c.Delivery.Latest()
	}
	ends, err := endingOf(ctx, a.journal.Certificates, a.storage, c)
	if err != nil {
		return f, err
	}
	f.Revoked = f.Revoked || ends != endNone
	newer, err := a.journal.reissuingOrder(ctx, a.storage, c)
	isNewer := newer != nil && !newer.Ahead && (!f.Replaced || newer.Serial != "")
	f.Succeeded = f.Succeeded || isNewer
	if err != nil {
		return f, err
	}
	o, err := a.journal.findOrder(ctx, a.storage, c.Role, c.OrderID)
	f.RenewedByCA = o != nil && o.Placement.AutoRenew
	return f, err
}

// isCertain reports whether a time has come by this server's clock and by CERTInext's.
func (a *aheadRun) isCertain(ctx context.Context, at time.Time) bool {
	now, seen := a.earlier(ctx)
	return seen && !now.Before(at)
}

// earlier returns the time by this server's clock or by CERTInext's, whichever is behind: one of
// them alone neither buys anything nor has a successor be forgotten (ADR 0022). It returns false,
// and no time, while CERTInext's is not known.
func (a *aheadRun) earlier(ctx context.Context) (time.Time, bool) {
	acct := a.journal.Account
	if _, seen := acct.ClockSkew(); !seen {
		acct.LearnClock(ctx, a.storage)
	}
	skew, seen := acct.ClockSkew()
	if !seen {
		return time.Time{}, false
	}
	return acct.Now().Add(min(0, skew)), true
}

// make makes the successor, or goes on with it. The error is why that is not possible now, or at
// all when over is set.
func (a *aheadRun) make(ctx context.Context) (over bool, why error) {
	gone, err := a.requesterIsGone()
	if err != nil {
		return gone, err
	}
	if a.wanted.Asked.ByCSR {
		return a.validate(ctx)
	}
	w, err := a.journal.requestCaller(ctx, a.storage, a.wanted.Asked.Request(a.role.Name),
		forPlacement)
	if err != nil {
		return false, err
	}
	if newest, err := isNewest(ctx, w, a.cert); err != nil || !newest {
		return err == nil, err
	}
	w.instead.ahead = a.wanted
	return a.order(ctx, w)
}

// requesterIsGone returns an error when Vault knows the requester's identity entity no more, and
// reports whether that is for good, or has disabled it. Whether a policy still lets the requester
// ask is for Vault to say when it does.
func (a *aheadRun) requesterIsGone() (gone bool, err error) {
	entity, err := identityOf(a.journal, a.wanted.Asked.EntityID)
	switch {
	case err != nil:
		return false, fmt.Errorf("asking Vault for the requester's identity entity: %w", err)
	case entity == nil:
		return true, errors.New("the requester's identity entity is no more")
	case entity.Disabled:
		return false, errors.New("the requester's identity entity is disabled")
	}
	return false, nil
}

func (a *aheadRun) orderID() (string, error) {
	return aheadID(a.role.Name, a.wanted.Asked.Requester, a.wanted.Serial)
}

// order places the order, unless it is open already, or another one for the same names is. It
// reports whether it is over already.
func (a *aheadRun) order(ctx context.Context, w *caller) (over bool, err error) {
	id, err := a.orderID()
	if err != nil {
		return false, err
	}
	registry, names := &a.journal.registry, namesOf(w.plan)
	err = errors.Join(registry.load(ctx, a.storage), registry.blocked(a.role.Name))
	if err != nil {
		return false, err
	}
	if names != "" && registry.pendingFor(names, nil) != "" {
		return false, nil // by the time that it is issued, it is the successor
	}
	if err := w.rejectedBefore(ctx, w.plan.Identity); err != nil {
		return false, err
	}
	t := tracked{id: id, role: a.role.Name, fingerprint: w.plan.Identity}
	h := a.journal.reserve(a.storage, t, waitsInstead(w))
	if h == nil {
		return false, nil // it is open, or the requester has come at this moment
	}
	if over, err := giveWay(ctx, a.journal, a.storage, a.role.Name, id); over || err != nil {
		h.drop()
		return over, err
	}
	return false, placeAhead(ctx, w, h)
}

// placeAhead places the order of an id that is held.
func placeAhead(ctx context.Context, w *caller, h *heldOrder) error {
	w.bought = true
	if err := w.begin(ctx, h); err != nil {
		return err
	}
	defer h.Release()
	within := h.within()
	_, err := w.refresh(ctx, h)
	return w.orderInstead(ctx, within, err)
}

// validate has the domains of a certificate validated whose key is the requester's, until it
// expires: the order for the next one then waits for no validation.
func (a *aheadRun) validate(ctx context.Context) (over bool, err error) {
	domains := allowedDomains(a.journal.Host, a.role, a.wanted.Asked.EntityID)
	plan := &issuing.Plan{DNSNames: a.wanted.Asked.DNSNames}
	if err := issuing.AllowNames(a.role, domains, plan); err != nil {
		return false, err
	}
	if a.journal.KeepValidated == nil {
		return true, nil
	}
	err = a.journal.KeepValidated(ctx, a.storage, a.role, plan.DNSNames, a.wanted.NotAfter)
	return err == nil, err
}

// tell stores with the certificate why its successor could not be made now, and logs it, unless
// both have been done before. A nil error is stored, too, once there was another.
func (a *aheadRun) tell(ctx context.Context, why error) error {
	text := ""
	if why != nil {
		text = sanitize.Error(why)
	}
	unlock, err := a.journal.Certificates.Lock(ctx, a.wanted.Serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, a.storage, a.wanted.Serial)
	if err != nil || c == nil || c.AheadRefused == text {
		return err
	}
	if text != "" {
		a.journal.Log.Warn("the successor of a certificate could not be made ahead of the request "+
			"for it", "role", c.Role, "serial", c.View().Serial, "error", why)
	}
	c.AheadRefused = text
	return a.journal.Certificates.Put(context.WithoutCancel(ctx), a.storage, c)
}

// withColons returns a serial number with dashes as people know it.
func withColons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }
