// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// Where the role says renewal=reissue, a request that would buy another certificate for what its
// requester has one for already is answered within the subscription that is paid for (ADR 0035):
// CERTInext reissues the newest certificate's order for the request's key. In the journal that is
// the request's order, as a new one would be. It is bought, found, joined and collected in the same
// ways, and a lost answer is settled as that of any reissue (ADR 0013).

// renewsWithin reports whether a role's orders of a plan are succeeded within their subscription.
func renewsWithin(p *issuing.Plan) bool {
	return isSucceededWithin(p) && !p.Request.Draft
}

// isSucceededWithin reports whether the certificate of a plan is to be succeeded within its
// subscription. That of a draft is, too, once it was promoted, although a draft succeeds none.
func isSucceededWithin(p *issuing.Plan) bool {
	return p.Role.Renewal == issuing.RenewalReissue && p.Subject == nil && len(p.DNSNames) > 0 &&
		p.Role.Shape().Family == certinext.FamilySSL && p.Config.Version() != certinext.V1
}

// namesOf returns the hash by which the newest certificate of a plan's names is found; empty when
// its role neither renews within subscriptions, nor ahead, nor revokes what was replaced, nor
// replaces what was revoked, nor has CERTInext renew by itself.
func namesOf(p *issuing.Plan) string {
	isAhead := (p.Role.RenewAhead.IsOn() || p.Role.ReplaceRevoked) && p.Subject == nil &&
		len(p.DNSNames) > 0
	if !isSucceededWithin(p) && !isReplacing(p) && !isAhead && !isRenewedByCA(p) {
		return ""
	}
	return issuing.NamesFingerprint(p.Role.Name, p.Config.Account(), p.Request.Requester,
		p.Role.ProductCode, p.Role.Variant, withAddresses(p.DNSNames, p.IPs))
}

// withAddresses returns names with addresses after them.
func withAddresses(names []string, ips []net.IP) []string {
	names = slices.Clone(names)
	for _, ip := range ips {
		names = append(names, ip.String())
	}
	return names
}

// namesFor returns what an order's Names are when it is another requester's.
func (o *orderEntry) namesFor(requester string) string {
	if o.Names == "" {
		return ""
	}
	return issuing.NamesFingerprint(o.Role, account.CanonicalAccount(o.Account), requester,
		o.Placement.ProductCode, o.Placement.Variant, o.Placement.names())
}

// isFor reports whether an order's names are those of a plan.
func (o *orderEntry) isFor(p *issuing.Plan) bool {
	own, wanted := o.Placement.names(), withAddresses(p.DNSNames, p.IPs)
	if len(own) == 0 || len(wanted) == 0 || own[0] != wanted[0] {
		return false
	}
	return slices.Equal(slices.Sorted(slices.Values(own)), slices.Sorted(slices.Values(wanted)))
}

// within returns the reissue by which the held order renews a certificate; nil for any other order.
func (h *heldOrder) within() *reissue {
	if o := h.entry; o != nil && o.Reissue != nil && o.Reissue.Renewal {
		return o.Reissue
	}
	return nil
}

// beginWithin stores that the held order, of which nothing is stored yet, reissues the certificate
// that the request's is to succeed. It reports false, and stores nothing, when a new order has to
// be placed. On failure the hold may have ended.
func (w *caller) beginWithin(ctx context.Context, h *heldOrder) (bool, error) {
	if !renewsWithin(w.plan) || replacesByOrder(w) {
		return false, nil
	}
	for {
		within, err := w.tryWithin(ctx, h)
		var taken *reissuedError
		if !errors.As(err, &taken) {
			return within, err
		}
		// Another request was faster: its reissue is the one to wait for.
	}
}

// tryWithin is one attempt of beginWithin. The error is a [*reissuedError] when another request has
// begun to reissue the certificate meanwhile; then nothing has changed.
func (w *caller) tryWithin(ctx context.Context, h *heldOrder) (bool, error) {
	p := w.plan
	parent, newest, err := w.predecessor(ctx)
	if err != nil || parent == nil {
		return false, err
	}
	remote, why, err := w.whyNotWithin(ctx, parent, newest)
	if err != nil {
		return false, err
	}
	if why != "" {
		succeedByOrder(w, newest, why)
		return false, nil
	}
	if err := w.journal.Certificates.CheckKey(ctx, w.storage, p.CSRKey); err != nil {
		return false, err
	}
	o, err := w.reissueEntry(h.id, parent, remote, p, reissue{
		Reason: "renewal", RevokeReason: certinext.ReasonSuperseded, Renewal: true,
		Ordered: parent.orderedAt(newest), ChargesBefore: parent.chargesSeen(),
	})
	if err != nil {
		return false, err
	}
	r := p.Request
	o.Requester, o.RequestID, o.Fingerprint, o.TTL = r.Requester, r.ID, p.Identity, r.TTL
	o.Renews, o.Names, o.Terms = newest.Serial, namesOf(p), termsFor(p)
	o.Again = ahead.AskedOf(p)
	w.instead.mark(o, w.journal.Now())
	o.Asked = askedFor(w.journal, r).within(parent)
	unlock, err := w.claimReissue(ctx, parent, o, func(c *certificates.Entry) error {
		if c.Requester != newest.Requester || len(c.Held) > 0 {
			return &fault.RefusedError{Err: fmt.Errorf("certificate %s was changed at this "+
				"moment: send the request again", c.View().Serial)}
		}
		c.RenewedAhead = o.Ahead
		return nil
	})
	if err != nil {
		return false, err
	}
	defer unlock()
	return true, h.storeIntent(ctx, o)
}

// predecessor returns the certificate that the request's is to succeed, and its order: that which
// the request renews, or the newest one of the same requester for the same names. It returns nil
// when there is none. While a reissue of it is under way for another request, it is waited for.
func (w *caller) predecessor(ctx context.Context) (*orderEntry, *certificates.Entry, error) {
	r := w.plan.Request
	serial, isNamed := r.Renews, r.Renews != ""
	var last *certificates.Entry
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if !isNamed && serial == "" {
			var err error
			serial, err = renewal.Newest(ctx, w.storage, w.role.Name, namesOf(w.plan))
			if err != nil || serial == "" {
				return nil, nil, err
			}
		}
		c, err := certificates.Read(ctx, w.storage, serial)
		switch {
		case err != nil || c == nil || c.Role != w.role.Name:
			return nil, nil, err
		case !isNamed && c.Requester != r.Requester:
			if last != nil {
				succeedByOrder(w, last, "its order was reissued for another requester")
			}
			return nil, nil, nil
		}
		last = c
		newer, err := w.journal.reissuingOrder(ctx, w.storage, c)
		switch {
		case err != nil:
			return nil, nil, err
		case newer == nil:
			parent, err := w.journal.issuedParent(ctx, w.storage, c.Role, c.OrderID)
			if err == nil && parent == nil {
				succeedByOrder(w, c, "this mount has no record of its order")
			}
			if parent == nil {
				return nil, nil, err
			}
			return parent, c, err
		case newer.Serial != "":
			serial = newer.Serial
		default:
			if err := w.awaitOther(ctx, newer.ID); err != nil {
				return nil, nil, err
			}
			if !isNamed {
				serial = ""
			}
		}
	}
}

// whyNotWithin says why a new order succeeds a certificate although its role reissues; empty when a
// reissue does, of the order that CERTInext has just described as remote. The error is for a
// request that buys nothing now: it is not known which of the two it would be.
func (w *caller) whyNotWithin(
	ctx context.Context, parent *orderEntry, c *certificates.Entry,
) (remote *certinext.Order, why string, err error) {
	stop, why, err := whyNotByRecords(ctx, w, parent, c)
	if err != nil || why != "" {
		return nil, why, err
	}
	if remote, err = w.atCERTInext(ctx, parent); err != nil {
		return nil, whyGone(err), unlessGone(err)
	}
	if charged := reviewCharge(ctx, w, parent, stop); charged {
		return nil, "CERTInext has charged for the reissue before", nil
	}
	why, err = w.whyNotAt(remote, parent, c)
	return remote, why, err
}

// whyNotByRecords is the part of whyNotWithin that is known without asking CERTInext. stop is why
// the role was stopped the last time.
func whyNotByRecords(
	ctx context.Context, w *caller, parent *orderEntry, c *certificates.Entry,
) (stop *renewal.Stop, why string, err error) {
	stop, err = renewal.Stopped(ctx, w.storage, w.role.Name)
	if err != nil {
		return nil, "", err
	}
	if stop.Holds() {
		return stop, "CERTInext has charged for a reissue of this role (order " + stop.OrderID +
			"): " + allowAgain(w.role.Name) + " has it reissue again", nil
	}
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	if err != nil {
		return nil, "", err
	}
	if why := whyNotByBooks(w.role, parent, c, ends); why != "" {
		return stop, why, nil
	}
	if !parent.isFor(w.plan) {
		return stop, "the order of certificate " + c.View().Serial + " has other names now", nil
	}
	if own, err := parent.publicKey(); err == nil && issuing.SamePublicKey(own, w.plan.CSRKey) {
		return stop, "csr has the key of the present certificate, and the certificates of one " +
			"subscription are told apart by their keys: with a new key for each, nothing is " +
			"bought (cert-manager: rotationPolicy: Always)", nil
	}
	return stop, "", nil
}

// whyNotByBooks is the part of whyNotByRecords that the mount's own books say.
func whyNotByBooks(
	role *issuing.Role, parent *orderEntry, c *certificates.Entry, ends ending,
) string {
	serial := c.View().Serial
	switch {
	case c.Replacement != nil && c.Replacement.NewOrder:
		return "certificate " + serial + " is replaced together with its order"
	case ends == endDue && c.Revocation == nil:
		return "certificate " + serial + " is to be revoked, and its order with it"
	case c.Revocation != nil, parent.State == StateRevoked:
		return "certificate " + serial + " is revoked, and its order with it"
	case len(c.Held) > 0:
		return "certificate " + serial + " is held"
	case c.ReissuedAs != "":
		return "certificate " + serial + " was reissued outside of this mount"
	case c.ReissueRefused:
		return "CERTInext has refused to reissue certificate " + serial
	case parent.Serial != c.Serial || parent.CAOrderID == "":
		return "the order of certificate " + serial + " has another certificate"
	case parent.Placement.ProductCode != role.ProductCode,
		parent.Placement.Variant != role.Variant:
		return "the role's product is another one now"
	}
	return ""
}

// whyNotAt is the part of whyNotWithin that CERTInext's answer says.
func (w *caller) whyNotAt(
	remote *certinext.Order, parent *orderEntry, c *certificates.Entry,
) (why string, err error) {
	status := sanitize.Short(string(remote.Status))
	if !isFinal(remote.Status) && remote.Status != certinext.StatusIssued {
		return "", &fault.RefusedError{Err: fmt.Errorf("CERTInext's order %s, within which the "+
			"certificate is to be reissued, is %s: ask again when it is issued",
			sanitize.Short(parent.CAOrderID), status)}
	}
	term := parent.subscription()
	if s := remote.Subscription; s != nil {
		if told, ok := subscriptions.Told(
			parent.askedAt(), s.EndsAt, sanitize.Short(s.Status)); ok {
			term = told.At(term.Price, term.Currency)
			parent.Subscription = &term // that of the reissue
		}
	}
	why = renewal.Why(c.Life(), term, judgedAt(w, c))
	if isFinal(remote.Status) {
		if why == "" && !w.journal.ends.seenTwice(parent, remote.Status, w.journal.Steady()) {
			return "", &fault.RefusedError{Err: fmt.Errorf("CERTInext calls order %s, within "+
				"which the certificate is to be reissued, %s, and a false answer would cost a "+
				"new order: send the request again in %s, after which it is believed",
				sanitize.Short(parent.CAOrderID), status, phrase.Duration(finalPatience))}
		}
		return "CERTInext calls the order " + status, nil
	}
	w.journal.ends.forget(parent)
	return why, nil
}

// caNow returns the time by CERTInext's clock; by this server's while that is not known.
func (w *caller) caNow() time.Time {
	skew, _ := w.journal.Account.ClockSkew()
	return w.journal.Now().Add(skew)
}

// whyGone says that CERTInext has no such order any more; empty for any other error.
func whyGone(err error) string {
	if certinext.IsRefusal(err, http.StatusNotFound) {
		return "CERTInext does not know the order any more"
	}
	return ""
}

// unlessGone returns any error but that which [whyGone] explains.
func unlessGone(err error) error {
	if whyGone(err) != "" {
		return nil
	}
	return err
}

// A successor is a new order whose certificate succeeds another one.
type successor struct {
	of  string // the serial number, with dashes, of the certificate that the order's succeeds
	why string // it is a new order although its role reissues; empty where the role does not
	due bool   // the certificate that is succeeded was due for its renewal
	// ahead is set when the successor, whether a new order or not, is made before it is asked for.
	ahead *ahead.Wanted
	// replaces is the certificate that is to be replaced before its time, and that the order's
	// takes the place of (ADR 0049); nil for most.
	replaces *certificates.Entry
	// byCA is what there is to say of CERTInext's own renewal; empty for most (ADR 0042).
	byCA string
}

// warnings tell the caller that its certificate was bought, or that it was not.
func (s *successor) warnings() []string {
	if s.byCA != "" {
		return []string{"auto_renew: " + s.byCA}
	}
	if s.why == "" {
		return nil
	}
	return []string{"renewal=reissue: a new order was placed instead of a reissue: " + s.why}
}

// succeedByOrder has the request's new order succeed a certificate.
func succeedByOrder(w *caller, c *certificates.Entry, why string) {
	w.journal.Log.Info("a certificate is succeeded by a new order although its role reissues",
		"role", w.role.Name, "serial", c.View().Serial, "why", why)
	w.instead.of, w.instead.why, w.instead.due = c.Serial, why, isDue(w, c)
}

// csrRefusals are CERTInext's codes for what is wrong with a request itself, or with who pays for
// it: a new order would meet the same refusal. The others are about the order that is reissued.
var csrRefusals = []string{
	"EMS-917", "EMS-921", "EMS-922", "EMS-1056", codeKeyUsed, "EMS-1139",
}

// noCredits are the words of the refusal for want of credits, which was observed without its code.
const noCredits = "insufficient credits"

// isAboutCSR reports whether a refusal is one of csrRefusals.
func isAboutCSR(err error) bool {
	var refusal *certinext.Error
	if errors.As(err, &refusal) && strings.Contains(strings.ToLower(refusal.Detail), noCredits) {
		return true
	}
	return slices.ContainsFunc(csrRefusals, func(code string) bool {
		return certinext.HasCode(err, code)
	})
}

// orderedAt returns when the order was placed within which o, whose certificate is c, may be
// reissued. It was not after c was issued, which CERTInext's clock says; ours may have been behind,
// by which the order's own charge would be a later one.
func (o *orderEntry) orderedAt(c *certificates.Entry) time.Time {
	if o.Reissue != nil && !o.Reissue.Ordered.IsZero() {
		return o.Reissue.Ordered
	}
	at := o.askedAt()
	if c.NotBefore.After(at) {
		return c.NotBefore
	}
	return at
}

// orderInstead makes of CERTInext's refusal to reissue a certificate that a new order is placed:
// the refusal is stored with the certificate, so that it is not asked again. Any other end of the
// request is its end.
func (w *caller) orderInstead(ctx context.Context, within *reissue, err error) error {
	if within == nil || !w.bought || !fault.IsPermanent(err) {
		return err
	}
	if isAboutCSR(err) {
		return err
	}
	if stored := w.keepRefusal(ctx, within.Serial); stored != nil {
		return stored
	}
	w.journal.Log.Warn("CERTInext refuses to reissue a certificate for its renewal; a new order "+
		"is placed", "order_id", within.Of, "error", err)
	return &placeAnewError{id: within.Of, cause: err.Error()}
}
