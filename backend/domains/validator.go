// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A validator validates one domain for the account, in one attempt. The caller holds the domain's
// lock.
type validator struct {
	keeper     *Keeper
	storage    logical.Storage
	client     *certinext.Client
	entry      *stored
	remote     *account.Domain // as CERTInext returned it; nil when it does not know the domain
	refused    error           // why CERTInext does not add the domain; nil unless it refused to
	needs      []string        // what the validation waits for
	unanswered error           // of the latest call that CERTInext did not answer
}

// find asks CERTInext for the domain, and sets remote. It searches the list, since reading one
// domain takes seconds (observed 2026), and reads the domain only when the list shows no end of its
// validation.
func (v *validator) find(ctx context.Context) error {
	v.remote = nil
	filter := account.DomainFilter{
		Search: v.entry.Name, Exact: true, OrganizationID: v.entry.OrganizationNumber,
	}
	for d, err := range v.client.Domains(ctx, filter) {
		if err != nil {
			return err
		}
		sameName := strings.EqualFold(d.Name, v.entry.Name)
		if sameName && (v.remote == nil || d.ID == v.entry.DomainID) {
			v.remote = &d
		}
	}
	if v.remote == nil {
		return nil
	}
	v.entry.DomainID = v.remote.ID
	if v.remote.ValidTill.IsZero() && strings.EqualFold(v.remote.DCVStatus, "VERIFIED") {
		d, err := v.client.Domain(ctx, v.remote.ID)
		if err != nil {
			return err
		}
		v.remote.ValidTill = d.ValidTill
	}
	if v.remote.ValidTill.After(v.entry.ValidTill) {
		if !v.entry.ValidTill.IsZero() || !v.entry.fresh {
			v.entry.ValidatedAt = v.keeper.Now() // it began after the last find
		}
		v.entry.ValidTill = v.remote.ValidTill
	}
	return nil
}

// isValidated reports whether orders for the domain need no validation of their own. Lists show
// domains as verified whose validation has expired (version 1), so the time decides where it is
// known.
func isValidated(d *account.Domain, now time.Time) bool {
	if d == nil || isInactive(d) {
		return false
	}
	if !d.ValidTill.IsZero() {
		return now.Before(d.ValidTill)
	}
	return strings.EqualFold(d.DCVStatus, "VERIFIED")
}

func isInactive(d *account.Domain) bool { return strings.EqualFold(d.Status, "INACTIVE") }

func (v *validator) state() *State {
	return &State{
		Registration: v.entry.toRegistration(), Domain: v.remote,
		Validated: isValidated(v.remote, v.keeper.Now()), Needs: v.needs,
		LastError: v.entry.LastError, NextAt: v.entry.NextAt, KeptUntil: v.entry.Until,
		done: v.done(), unanswered: v.unanswered,
	}
}

// done reports whether the domain is validated and its renewal is not due yet.
func (v *validator) done() bool {
	now := v.keeper.Now()
	return isValidated(v.remote, now) && !v.entry.due(v.remote.ValidTill, now)
}

// run validates the domain if that is due. With a solver it waits until the given time; without one
// it has CERTInext look once, and says what to publish when CERTInext does not see it.
func (v *validator) run(ctx context.Context, until time.Time) (*State, error) {
	if err := v.find(ctx); err != nil {
		return nil, err
	}
	switch {
	case v.remote != nil && isInactive(v.remote):
		v.needs = []string{"the domain is INACTIVE in CERTInext: activate it in CERTInext's portal"}
		v.finish(ctx)
		return v.state(), nil
	case v.done():
		v.finish(ctx)
		return v.state(), nil
	case v.entry.DNS.Solver == "":
		return v.runManual(ctx)
	}
	v.entry.Waiting = true // else ReconcileRecords would remove what the solver publishes
	if err := v.save(ctx); err != nil {
		return nil, err
	}
	return v.solve(ctx, until)
}

// solve has the solver validate the domain, and waits for CERTInext until the given time.
func (v *validator) solve(ctx context.Context, until time.Time) (*State, error) {
	before := v.entry.ValidTill
	how := v.entry.DNS.Validation()
	run := v.keeper.Publisher.NewRun(v.storage, owner(v.entry.Name), how, v)
	for polls := 0; ; polls++ {
		verified := run.Round(ctx, []string{v.entry.Name})
		v.unanswered = run.TakeUnanswered()
		switch {
		case v.refused != nil:
			return nil, v.refused
		case verified:
			return v.revalidated(ctx, before)
		}
		v.needs, _ = run.Needs()
		delay := max(host.PollDelay(polls), account.Hint(v.unanswered))
		if v.keeper.Now().Add(delay).After(until) || host.Sleep(ctx, delay) {
			return v.state(), nil
		}
	}
}

// revalidated reads the domain again after CERTInext has accepted a validation. before is the end
// of the validation before it.
func (v *validator) revalidated(ctx context.Context, before time.Time) (*State, error) {
	v.entry.Renewal = nil
	if err := v.find(ctx); err != nil {
		return nil, err
	}
	if v.remote != nil && v.remote.ValidTill.After(before) {
		v.entry.ValidatedAt = v.keeper.Now()
	}
	if !v.done() {
		v.needs = []string{"CERTInext has accepted the validation, but still shows the end of " +
			"the previous one: it may extend it only once that has passed"}
	}
	v.finish(ctx)
	return v.state(), nil
}

// finish removes the domain's records, which are not needed any more.
func (v *validator) finish(ctx context.Context) {
	v.entry.Waiting = false
	if err := v.keeper.Publisher.Withdraw(ctx, v.storage, owner(v.entry.Name), nil); err != nil {
		v.keeper.Log.Warn("a TXT record could not be removed; the background pass tries again",
			"domain", v.entry.Name, "error", err)
	}
}

// save stores the entry, even when the request has ended: what CERTInext has done must not be lost.
// It refuses an entry that is the first to name a solver which was deleted meanwhile.
func (v *validator) save(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	put := func() error { return store.Put(ctx, v.storage, v.entry.key(), v.entry) }
	var err error
	if v.entry.naming {
		err = v.keeper.Publisher.WhileNamed(ctx, v.storage, v.entry.DNS.Solver, put)
		v.entry.naming = err != nil
	} else {
		err = put()
	}
	if err != nil {
		return fmt.Errorf("storing the domain %s: %w", v.entry.Name, err)
	}
	return nil
}

// forget deletes a new registration whose first attempt has failed.
func (v *validator) forget(ctx context.Context) error {
	v.finish(ctx)
	return store.Delete(context.WithoutCancel(ctx), v.storage, v.entry.key())
}

// runManual has CERTInext look for what the domain's owner has published, and says what to publish
// when CERTInext does not see it.
func (v *validator) runManual(ctx context.Context) (*State, error) {
	known := v.remote != nil
	c, err := v.Challenge(ctx, v.entry.Name)
	if v.refused != nil || (err != nil && !known) {
		return nil, err
	}
	var failed error
	if known && err == nil { // nothing can be published yet for a domain that was only just added
		failed = v.Verify(ctx, v.entry.Name)
	}
	if err := v.find(ctx); err != nil {
		return nil, err
	}
	state := v.state()
	if state.Validated {
		return state, nil
	}
	state.Challenge = v.manualChallenge(c, err)
	if failed != nil {
		state.Challenge.Error = failed.Error()
	}
	return state, nil
}

// manualChallenge says what the domain's owner has to publish, given the outcome of asking
// CERTInext for the challenge.
func (v *validator) manualChallenge(
	c *certinext.Challenge, err error,
) *validation.DomainChallenge {
	out := &validation.DomainChallenge{Domain: v.entry.Name}
	switch {
	case errors.Is(err, certinext.ErrChallengeExpired):
		out.Error = fmt.Sprintf("the challenge has expired: "+
			"vault write -force <mount>/domains/%s/verify gets a new one", v.entry.Name)
	case err != nil:
		out.Error = err.Error()
	default:
		how := v.entry.DNS.Validation()
		out.Challenge, out.Verified = *c, c.AlreadyVerified
		out.DNSNames = how.Names(c, v.entry.Name)
		if c.HTTPPath != "" {
			out.HTTPURL = validation.ChallengeURL(v.entry.Name, c.HTTPPath)
		}
	}
	return out
}

// Challenge returns the open challenge of the domain, and opens one if there is none. A domain that
// CERTInext does not know is added. It implements [validation.Challenger].
func (v *validator) Challenge(ctx context.Context, domain string) (*certinext.Challenge, error) {
	now := v.keeper.Now()
	valid := isValidated(v.remote, now)
	p := v.entry.Renewal
	if valid && p != nil && p.IsFresh(now) {
		return &certinext.Challenge{
			Domain: domain, DNSHost: first(p.DNSNames), DNSValue: p.DNSValue,
		}, nil
	}
	if v.remote == nil || valid {
		c, err := v.add(ctx, valid)
		if err != nil || c != nil {
			return c, err
		}
	}
	c, err := v.client.DomainChallenge(ctx, v.entry.DomainID, domain, v.entry.Method)
	if err == nil && c.AlreadyVerified && valid {
		return nil, errors.New("CERTInext opens no challenge while the domain is validated: " +
			"it can be validated again once that has expired")
	}
	// The challenge has expired or, an error with status 200, the answer holds none of the method:
	// a new one is made.
	var refusal *certinext.Error
	none := errors.Is(err, certinext.ErrChallengeExpired) ||
		(errors.As(err, &refusal) && refusal.Status == http.StatusOK)
	if !none {
		return c, err
	}
	return v.client.RenewDomainChallenge(ctx, v.entry.DomainID, domain, v.entry.Method)
}

// first returns the first text, or "" when there is none.
func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}

// add adds the domain to the account or, with renew, opens a challenge while it is still validated.
// The challenge is nil when CERTInext did not return one and has to be asked for it.
func (v *validator) add(ctx context.Context, renew bool) (*certinext.Challenge, error) {
	d, c, err := v.client.AddDomain(ctx, certinext.DomainRequest{
		Name: v.entry.Name, OrganizationID: v.entry.OrganizationNumber,
		Method: v.entry.Method, Renew: renew,
	})
	var refusal *certinext.Error
	switch {
	case errors.As(err, &refusal) && refusal.ExistingDomainID != "":
		return nil, v.adopt(ctx, refusal.ExistingDomainID)
	case !renew && certinext.HasStatus(err, http.StatusBadRequest, http.StatusForbidden,
		http.StatusNotFound, http.StatusUnprocessableEntity):
		v.refused = err
		return nil, err
	case err != nil:
		return nil, err
	}
	v.entry.DomainID = d.ID
	if v.remote == nil {
		v.remote = d
	}
	if renew && c != nil && c.DNSValue != "" {
		v.entry.Renewal = &validation.Proof{
			Domain: v.entry.Name, Method: v.entry.Method, DNSNames: issuing.NonEmpty(c.DNSHost),
			DNSValue: c.DNSValue, AskedAt: v.keeper.Now(),
		}
	}
	return c, v.save(ctx)
}

// adopt registers a domain under the id that CERTInext has it under already. It refuses a domain of
// another organization.
func (v *validator) adopt(ctx context.Context, id string) error {
	filter := account.DomainFilter{Search: v.entry.Name, Exact: true}
	for d, err := range v.client.Domains(ctx, filter) {
		if err != nil {
			return err
		}
		if d.ID == id && d.OrganizationID != "" && d.OrganizationID != v.entry.OrganizationNumber {
			v.refused = fault.BadField("organization_number",
				"CERTInext has the domain %s for the organization %s: use that number",
				v.entry.Name, sanitize.Short(d.OrganizationID))
			return v.refused
		}
	}
	v.entry.DomainID = id
	return nil
}

// Verify has CERTInext look for the challenge now. It implements [validation.Challenger].
func (v *validator) Verify(ctx context.Context, _ string) error {
	return v.client.VerifyDomain(ctx, v.entry.DomainID)
}
