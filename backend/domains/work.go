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

// A work validates one domain for the account. The caller holds the domain's lock.
type work struct {
	keeper  *Keeper
	storage logical.Storage
	client  *certinext.Client
	entry   *Stored
	remote  *account.Domain // CERTInext's; nil when it does not know the domain
	refused error           // CERTInext takes no such domain
	needs   []string
	unheard error // of the last call that was not answered
}

// find asks CERTInext for the domain. A list is quicker than the domain itself, which takes seconds (observed 2026); that is asked where the
// list does not tell the end of a validation.
func (w *work) find(ctx context.Context) error {
	w.remote = nil
	for d, err := range w.client.Domains(ctx, account.DomainFilter{Search: w.entry.Name, Exact: true, OrganizationID: w.entry.OrganizationNumber}) {
		if err != nil {
			return err
		}
		if strings.EqualFold(d.Name, w.entry.Name) && (w.remote == nil || d.ID == w.entry.DomainID) {
			w.remote = &d
		}
	}
	if w.remote == nil {
		return nil
	}
	w.entry.DomainID = w.remote.ID
	if w.remote.ValidTill.IsZero() && strings.EqualFold(w.remote.DCVStatus, "VERIFIED") {
		d, err := w.client.Domain(ctx, w.remote.ID)
		if err != nil {
			return err
		}
		w.remote.ValidTill = d.ValidTill
	}
	if w.remote.ValidTill.After(w.entry.ValidTill) {
		if !w.entry.ValidTill.IsZero() || !w.entry.fresh {
			w.entry.ValidatedAt = w.keeper.Now() // since the look before
		}
		w.entry.ValidTill = w.remote.ValidTill
	}
	return nil
}

// validated reports whether orders need no validation of their own. Lists show domains as verified whose time has run out
// (version 1), so the time decides where it is told.
func validated(d *account.Domain, now time.Time) bool {
	if d == nil || inactive(d) {
		return false
	}
	if !d.ValidTill.IsZero() {
		return now.Before(d.ValidTill)
	}
	return strings.EqualFold(d.DCVStatus, "VERIFIED")
}

func inactive(d *account.Domain) bool { return strings.EqualFold(d.Status, "INACTIVE") }

func (w *work) state() *State {
	return &State{
		Registration: w.entry.registration(), Domain: w.remote, Validated: validated(w.remote, w.keeper.Now()), Needs: w.needs,
		LastError: w.entry.LastError, NextAt: w.entry.NextAt, done: w.done(), unheard: w.unheard,
	}
}

// done reports whether there is nothing to validate.
func (w *work) done() bool {
	now := w.keeper.Now()
	return validated(w.remote, now) && !w.entry.due(w.remote.ValidTill, now)
}

// run validates the domain if that is due. Without a solver it asks CERTInext to look once, or says what to publish.
func (w *work) run(ctx context.Context, until time.Time) (*State, error) {
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	switch {
	case w.remote != nil && inactive(w.remote):
		w.needs = []string{"CERTInext says that the domain is INACTIVE: it has to be activated in its portal"}
		w.finish(ctx)
		return w.state(), nil
	case w.done():
		w.finish(ctx)
		return w.state(), nil
	case w.entry.DNS.Solver == "":
		return w.runByHand(ctx)
	}
	w.entry.Waiting = true // so that nobody takes away what is about to be published
	if err := w.save(ctx); err != nil {
		return nil, err
	}
	return w.solve(ctx, until)
}

// solve has the solver validate the domain.
func (w *work) solve(ctx context.Context, until time.Time) (*State, error) {
	before := w.entry.ValidTill
	v := w.keeper.Publisher.NewRun(w.storage, owner(w.entry.Name), w.entry.DNS.Validation(), w)
	for polls := 0; ; polls++ {
		verified := v.Round(ctx, []string{w.entry.Name})
		w.unheard = v.TakeUnanswered()
		switch {
		case w.refused != nil:
			return nil, w.refused
		case verified:
			return w.validatedAnew(ctx, before)
		}
		w.needs, _ = v.Needs()
		delay := max(host.PollDelay(polls), account.Hint(w.unheard))
		if w.keeper.Now().Add(delay).After(until) || host.Sleep(ctx, delay) {
			return w.state(), nil
		}
	}
}

// validatedAnew looks what a validation that CERTInext has taken has come to.
func (w *work) validatedAnew(ctx context.Context, before time.Time) (*State, error) {
	w.entry.Renewal = nil
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	if w.remote != nil && w.remote.ValidTill.After(before) {
		w.entry.ValidatedAt = w.keeper.Now()
	}
	if !w.done() {
		w.needs = []string{"CERTInext has taken the validation, and has not moved the end of the one before: it may do so only once that has run out"}
	}
	w.finish(ctx)
	return w.state(), nil
}

// finish takes away what was published.
func (w *work) finish(ctx context.Context) {
	w.entry.Waiting = false
	if err := w.keeper.Publisher.Withdraw(ctx, w.storage, owner(w.entry.Name), nil); err != nil {
		w.keeper.Log.Warn("a TXT record could not be removed; the background pass tries again", "domain", w.entry.Name, "error", err)
	}
}

// save stores the entry. What has happened at CERTInext has to be remembered, whoever waits for it.
func (w *work) save(ctx context.Context) error {
	if err := store.Put(context.WithoutCancel(ctx), w.storage, w.entry.key(), w.entry); err != nil {
		return fmt.Errorf("storing the domain %s: %w", w.entry.Name, err)
	}
	return nil
}

// forget takes back a registration that CERTInext has refused.
func (w *work) forget(ctx context.Context) error {
	w.finish(ctx)
	return store.Delete(context.WithoutCancel(ctx), w.storage, w.entry.key())
}

// runByHand has CERTInext look for what somebody has published, and says what to publish when it does not see it.
func (w *work) runByHand(ctx context.Context) (*State, error) {
	known := w.remote != nil
	c, err := w.Challenge(ctx, w.entry.Name)
	if w.refused != nil || err != nil && !known {
		return nil, err
	}
	var failed error
	if known && err == nil { // a challenge that is new cannot have been met
		failed = w.Verify(ctx, w.entry.Name)
	}
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	state := w.state()
	if state.Validated {
		return state, nil
	}
	if state.Challenge = w.byHand(c, err); failed != nil {
		state.Challenge.Error = failed.Error()
	}
	return state, nil
}

// byHand is what to publish for the domain.
func (w *work) byHand(c *certinext.Challenge, err error) *validation.DomainChallenge {
	out := &validation.DomainChallenge{Domain: w.entry.Name}
	switch {
	case errors.Is(err, certinext.ErrChallengeExpired):
		out.Error = fmt.Sprintf("the challenge has expired: writing domains/%s/verify makes a new one", w.entry.Name)
	case err != nil:
		out.Error = err.Error()
	default:
		how := w.entry.DNS.Validation()
		out.Challenge, out.Verified, out.DNSNames = *c, c.AlreadyVerified, how.Names(c, w.entry.Name)
		if c.HTTPPath != "" {
			out.HTTPURL = validation.ChallengeURL(w.entry.Name, c.HTTPPath)
		}
	}
	return out
}

// Challenge returns the open challenge of the domain, and opens one if there is none.
func (w *work) Challenge(ctx context.Context, domain string) (*certinext.Challenge, error) {
	valid := validated(w.remote, w.keeper.Now())
	if p := w.entry.Renewal; valid && p != nil && w.keeper.Now().Before(p.AskedAt.Add(validation.ProofLife)) {
		return &certinext.Challenge{Domain: domain, DNSHost: first(p.DNSNames), DNSValue: p.DNSValue}, nil
	}
	if w.remote == nil || valid {
		c, err := w.add(ctx, valid)
		if err != nil || c != nil {
			return c, err
		}
	}
	c, err := w.client.DomainChallenge(ctx, w.entry.DomainID, domain, w.entry.Method)
	if err == nil && c.AlreadyVerified && valid {
		return nil, errors.New("CERTInext opens no challenge while the domain is validated: it can be validated again when that has run out")
	}
	var refusal *certinext.Error
	if err == nil || !errors.Is(err, certinext.ErrChallengeExpired) && (!errors.As(err, &refusal) || refusal.Status != http.StatusOK) {
		return c, err
	}
	// It has expired, or the answer holds none of the method: a new one is made.
	return w.client.RenewDomainChallenge(ctx, w.entry.DomainID, domain, w.entry.Method)
}

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return texts[0]
}

// add registers the domain or, with renew, opens a challenge although it is validated. The challenge is nil when it has to be
// asked for.
func (w *work) add(ctx context.Context, renew bool) (*certinext.Challenge, error) {
	d, c, err := w.client.AddDomain(ctx, certinext.DomainRequest{
		Name: w.entry.Name, OrganizationID: w.entry.OrganizationNumber, Method: w.entry.Method, Renew: renew,
	})
	var refusal *certinext.Error
	switch {
	case errors.As(err, &refusal) && refusal.ExistingDomainID != "":
		return nil, w.adopt(ctx, refusal.ExistingDomainID)
	case certinext.HasStatus(err, http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity) && !renew:
		w.refused = err
		return nil, err
	case err != nil:
		return nil, err
	}
	w.entry.DomainID = d.ID
	if w.remote == nil {
		w.remote = d
	}
	if renew && c != nil && c.DNSValue != "" {
		w.entry.Renewal = &validation.Proof{Domain: w.entry.Name, Method: w.entry.Method, DNSNames: issuing.NonEmpty(c.DNSHost), DNSValue: c.DNSValue, AskedAt: w.keeper.Now()}
	}
	return c, w.save(ctx)
}

// adopt takes a domain that CERTInext has already for ours, unless it is another organization's.
func (w *work) adopt(ctx context.Context, id string) error {
	for d, err := range w.client.Domains(ctx, account.DomainFilter{Search: w.entry.Name, Exact: true}) {
		if err != nil {
			return err
		}
		if d.ID == id && d.OrganizationID != "" && d.OrganizationID != w.entry.OrganizationNumber {
			w.refused = fault.BadField("organization_number", "CERTInext has the domain %s for the organization %s", w.entry.Name, sanitize.Short(d.OrganizationID))
			return w.refused
		}
	}
	w.entry.DomainID = id
	return nil
}

// Verify has CERTInext look.
func (w *work) Verify(ctx context.Context, _ string) error {
	return w.client.VerifyDomain(ctx, w.entry.DomainID)
}
