// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/hashicorp/vault/sdk/logical"
)

// A request may ask what it would come to (ADR 0038). That is answered by the same decisions as the
// request itself, from what the mount knows at that moment: no order is held, nothing is stored,
// and CERTInext is asked nothing about orders. So what CERTInext would say of an order, such as
// that it has ended it meanwhile, is not foreseen.

// The names of the checks that the journal adds to those of [issuing.Judge].
const (
	CheckRenewal  = "renewal"  // the certificate may be renewed now
	CheckOrders   = "orders"   // what was ordered before allows another order
	CheckOrdering = "ordering" // the mount places orders
	CheckCSRKey   = "csr_key"  // the key of the CSR is not compromised
	CheckCatalog  = "product"  // the catalog has the role's product
)

// A Foresight is how a request would be answered, by what the mount knows.
type Foresight struct {
	// Answer is that of a request whose checks all pass.
	Answer preview.Answer
	// Checks are those that were made, the ones first by which the request would be refused first.
	Checks issuing.Checks
	// Why says in words why it is this answer.
	Why string
	// Order is the one that would be joined, reused from or reissued; nil for a new one. Serial is
	// the certificate that would be handed over again, reissued or succeeded, with colons.
	Order  *Order
	Serial string

	Role   *issuing.Role
	Config *account.Config
	// Plan is nil, and Proposal and Purchase are empty, when the request's names cannot be read.
	Plan     *issuing.Plan
	Proposal Proposal
	Purchase Purchase
	// RenewsWithin is set when certificates of the order are succeeded within its subscription.
	RenewsWithin bool
	// WaitsForApproval is set when the order would wait for another person's approval.
	WaitsForApproval bool
}

// Foresee returns how [Journal.Issue] would answer a request, or [Journal.PlaceOrder] with async.
// Storage is best one of [store.Reading]. The error is for a request about something that is not
// there, and a fault of storage; what else would refuse the request is in the Foresight.
func Foresee(
	ctx context.Context, journal *Journal, s logical.Storage, r issuing.Request, async bool,
) (*Foresight, error) {
	p := forCertificate
	if async {
		p = forPlacement
	}
	answers := journal.answers.Load()
	q, err := inquire(ctx, journal, s, r)
	if err != nil {
		return refusedInquiry(ctx, journal, s, r, err)
	}
	f := &Foresight{
		Answer: preview.Order, Role: q.role, Config: q.config,
		Serial: strings.ReplaceAll(q.request.Renews, "-", ":"),
	}
	if q.renews != nil {
		f.Checks.Add(CheckRenewal, issuing.NonNil(q.isDue(ctx, journal, s))...)
	}
	plan, checks := issuing.Judge(q.role, q.config, q.domains, q.subject, q.request)
	f.Checks = append(f.Checks, checks...)
	w := journal.newCaller(s, q.role, p)
	w.answersBefore = answers
	w.isRenewed = q.isRenewed()
	if plan != nil {
		w.plan = plan
		f.describe(plan, askedFor(journal, plan.Request))
	}
	if f.Checks.First() == nil {
		err = f.look(ctx, w)
	}
	if err != nil || !f.Answer.Begins() {
		return f, err
	}
	return f, f.checkBegin(ctx, w)
}

// refusedInquiry is the foresight of a request whose plan cannot be made, since its certificate may
// not be renewed or its subject is not known. Any other error is returned.
func refusedInquiry(
	ctx context.Context, journal *Journal, s logical.Storage, r issuing.Request, err error,
) (*Foresight, error) {
	q, missing := inquire(ctx, journal, s, issuing.Request{Role: r.Role, EntityID: r.EntityID})
	if q == nil {
		return nil, missing
	}
	f := &Foresight{Answer: preview.Order, Role: q.role, Config: q.config}
	name := issuing.CheckNames
	if r.Renews != "" {
		name = CheckRenewal
	}
	return f, f.check(name, err)
}

// describe sets what the plan would buy.
func (f *Foresight) describe(plan *issuing.Plan, asked *asking) {
	f.Plan, f.RenewsWithin = plan, isSucceededWithin(plan)
	told := f.Role.Tells(asked.By.called(), asked.Owner)
	bought := newPlacement(f.Role, f.Role.OrderDefaults.Or(f.Config.OrderDefaults), plan, told, "")
	f.Proposal = proposalOf(&bought, plan.CSRKey)
	f.Purchase = purchaseOf(&bought, f.Role.Name, plan.Request.Requester)
	if plan.Request.Draft {
		f.Answer = preview.Draft
	}
}

// purchaseOf returns the purchase of a placement, without an order.
func purchaseOf(p *placement, role, requester string) Purchase {
	return Purchase{
		Role: role, Requester: requester,
		ProductCode: p.ProductCode, Years: p.ValidityYears, Group: p.GroupNumber,
	}
}

// check adds a check that may have failed. It returns the error if that is no refusal, but a fault,
// or about something that is not there.
func (f *Foresight) check(name string, err error) error {
	var (
		field   *fault.FieldError
		refused *fault.RefusedError
		order   *Error
		future  *store.FutureError
	)
	switch {
	case err == nil, errors.As(err, &field), errors.As(err, &refused), errors.As(err, &order),
		errors.As(err, &future), errors.Is(err, account.ErrHeld):
		f.Checks.Add(name, issuing.NonNil(err)...)
		return nil
	}
	return err
}

// look finds what answers the request.
func (f *Foresight) look(ctx context.Context, w *caller) error {
	found, err := answerTo(ctx, w)
	if err := f.check(CheckOrders, err); err != nil {
		return err
	}
	if found == nil {
		found = &finding{why: "no earlier order of this requester answers it"}
	}
	if found.answer != "" {
		f.Answer = found.answer
	}
	f.Why, f.Order = found.why, found.order
	if found.serial != "" {
		f.Serial = strings.ReplaceAll(found.serial, "-", ":")
	}
	isOrder := f.Answer == preview.Order && w.role.RequireApproval
	isWaiting := found.order != nil && found.order.State == StateApproval
	f.WaitsForApproval = isOrder || (f.Answer == preview.Join && isWaiting)
	return nil
}

// checkBegin makes the checks that an order or a reissue has to pass before its intent is stored.
func (f *Foresight) checkBegin(ctx context.Context, w *caller) error {
	err := f.check(CheckOrdering, w.journal.Account.MayOrder(ctx, w.storage))
	if err == nil && f.WaitsForApproval && w.plan != nil {
		err = f.check(CheckOrders, foreseeUnapproved(
			&w.journal.registry, f.Role, w.plan.Request.Requester))
	}
	if err == nil && w.plan != nil && w.plan.CSRKey != nil {
		err = f.check(CheckCSRKey,
			w.journal.Certificates.CheckKey(ctx, w.storage, w.plan.CSRKey))
	}
	if ask := w.journal.CheckProduct; err == nil && ask != nil && f.Answer != preview.Reissue {
		err = f.check(CheckCatalog, ask(ctx, w.storage, f.Role))
	}
	return err
}

// A finding is what answers a request. Its order and certificate are missing when nothing was
// bought before.
type finding struct {
	answer preview.Answer // empty for what is bought anew
	order  *Order
	serial string // of the certificate, with dashes
	why    string
}

// A finder looks for one sort of answer to a request that passes its role's checks, and returns nil
// where there is none. It changes nothing.
type finder func(context.Context, *caller) (*finding, error)

// findersOf returns the finders for a request, in the order in which [caller.acquireOrder] and
// [caller.begin] look: the first finding is the answer, and without one a new order is.
func findersOf(p *issuing.Plan) []finder {
	if p.Request.ID != "" {
		return []finder{foreseeNamed, foreseeByCA, foreseeBesideWithin}
	}
	if p.Role.RenewAhead.IsOn() {
		return []finder{
			foreseeReused, foreseeSame, foreseeTakenOver, foreseeMade, foreseeRekeyed,
			foreseeRejected,
			foreseeByCA, foreseeBesideWithin,
		}
	}
	return []finder{
		foreseeSame, foreseeTakenOver, foreseeReused, foreseeMade, foreseeRekeyed,
		foreseeRejected,
		foreseeByCA, foreseeBesideWithin,
	}
}

// answerTo returns what answers a request; nil for a new order. The error is why it is refused.
func answerTo(ctx context.Context, w *caller) (*finding, error) {
	if err := w.journal.registry.load(ctx, w.storage); err != nil {
		return nil, err
	}
	if err := w.journal.registry.blocked(w.role.Name); err != nil {
		return nil, err
	}
	for _, find := range findersOf(w.plan) {
		if found, err := find(ctx, w); err != nil || found != nil {
			return found, err
		}
	}
	return nil, nil
}

// foreseeRejected finds that the same request was rejected lately.
func foreseeRejected(ctx context.Context, w *caller) (*finding, error) {
	return nil, w.rejectedBefore(ctx, w.plan.Identity)
}

// certificateOf returns the certificate of an order, as this process knows it; nil when the order
// has none yet. It sets the order's state and serial number by it.
func certificateOf(
	ctx context.Context, w *caller, o *orderEntry,
) (*certificates.Entry, error) {
	t, _ := w.journal.registry.status(o.ID)
	o.applyDelivery(t)
	if o.Serial == "" {
		c, err := w.journal.Certificates.Numbers.OfOrder(ctx, w.storage, o.CAOrderID, o.ID)
		if err != nil || c == nil {
			return nil, err
		}
		o.State, o.Serial = StateIssued, c.Serial
	}
	if o.Serial == "" {
		return nil, nil
	}
	c, err := certificates.Read(ctx, w.storage, o.Serial)
	if err == nil && c != nil {
		w.journal.registry.recall(o.ID, c)
	}
	return c, err
}
