// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A domainWork validates one domain for the account. The caller holds the domain's lock.
type domainWork struct {
	engine  *Engine
	storage logical.Storage
	client  *certinext.Client
	entry   *registration
	remote  *Domain // CERTInext's; nil when it does not know the domain
	needs   []string
}

// find asks CERTInext for the domain. A list is quicker than the domain itself, which takes seconds (observed 2026).
func (w *domainWork) find(ctx context.Context) error {
	w.remote = nil
	for d, err := range w.client.Domains(ctx, DomainFilter{Search: w.entry.Name, Exact: true, OrganizationID: w.entry.OrganizationNumber}) {
		if err != nil {
			return err
		}
		if strings.EqualFold(d.Name, w.entry.Name) && (w.entry.DomainID == "" || w.remote == nil || d.ID == w.entry.DomainID) {
			w.remote = &d
		}
	}
	if w.remote != nil {
		w.entry.DomainID, w.entry.ValidTill = w.remote.ID, w.remote.ValidTill
	}
	return nil
}

// validated reports whether orders need no validation of their own. Lists show domains as verified whose time has run out
// (version 1), so the time decides where it is told.
func validated(d *Domain, now time.Time) bool {
	if d == nil || strings.EqualFold(d.Status, "INACTIVE") {
		return false
	}
	if !d.ValidTill.IsZero() {
		return now.Before(d.ValidTill)
	}
	return strings.EqualFold(d.DCVStatus, "VERIFIED")
}

func (w *domainWork) state() *DomainState {
	return &DomainState{
		Registration: w.entry.registration(), Domain: w.remote, Validated: validated(w.remote, w.engine.now()), Needs: w.needs,
		LastError: w.entry.LastError, NextAt: w.entry.NextAt,
	}
}

// done reports whether there is nothing to validate.
func (w *domainWork) done() bool {
	now := w.engine.now()
	return validated(w.remote, now) && (w.remote.ValidTill.IsZero() || !w.entry.due(w.remote.ValidTill, now))
}

// run validates the domain if that is due. Without a solver it asks CERTInext to look once, or says what to publish.
func (w *domainWork) run(ctx context.Context, until time.Time) (*DomainState, error) {
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	if w.done() {
		w.finish(ctx)
		return w.state(), nil
	}
	if w.entry.DNS.Solver == "" {
		return w.runByHand(ctx)
	}
	w.entry.Waiting = true // so that nobody takes away what is about to be published
	if err := put(ctx, w.storage, w.entry.key(), w.entry); err != nil {
		return nil, err
	}
	v := &validation{engine: w.engine, storage: w.storage, owner: domainOwner(w.entry.Name), how: w.entry.DNS.validation(), ca: w}
	for polls := 0; ; polls++ {
		if v.round(ctx, []string{w.entry.Name}) {
			if err := w.find(ctx); err != nil {
				return nil, err
			}
			if !w.done() {
				w.needs = []string{"CERTInext has taken the validation, and has not moved the end of the one before: it may do so only once that has run out"}
			}
			w.finish(ctx)
			return w.state(), nil
		}
		w.needs, _ = v.needs()
		delay := pollDelays[min(polls, len(pollDelays)-1)]
		if w.engine.now().Add(delay).After(until) {
			return w.state(), nil
		}
		if sleep(ctx, delay) {
			return w.state(), nil
		}
	}
}

// finish takes away what was published.
func (w *domainWork) finish(ctx context.Context) {
	w.entry.Waiting = false
	if err := w.engine.withdraw(ctx, w.storage, domainOwner(w.entry.Name), nil); err != nil {
		w.engine.log.Warn("a TXT record could not be removed; the background pass tries again", "domain", w.entry.Name, "error", err)
	}
}

// runByHand has CERTInext look for what somebody has published, and says what to publish when it does not see it.
func (w *domainWork) runByHand(ctx context.Context) (*DomainState, error) {
	known := w.remote != nil
	if _, err := w.challenge(ctx, w.entry.Name); err != nil {
		return nil, err
	}
	var failed error
	if known { // a challenge that is new cannot have been met
		failed = w.verify(ctx, w.entry.Name)
	}
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	state := w.state()
	if state.Validated {
		return state, nil
	}
	state.Challenge = w.byHand(ctx)
	if failed != nil {
		state.Challenge.Error = failed.Error()
	}
	return state, nil
}

// byHand is what to publish for the domain.
func (w *domainWork) byHand(ctx context.Context) *DomainChallenge {
	out := &DomainChallenge{Domain: w.entry.Name}
	c, err := w.challenge(ctx, w.entry.Name)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	how := w.entry.DNS.validation()
	out.Challenge, out.Verified, out.DNSNames = *c, c.AlreadyVerified, how.names(c, w.entry.Name)
	if c.HTTPPath != "" {
		out.HTTPURL = challengeURL(w.entry.Name, c.HTTPPath)
	}
	return out
}

// challenge returns the open challenge of the domain, and opens one if there is none.
func (w *domainWork) challenge(ctx context.Context, domain string) (*certinext.Challenge, error) {
	if w.remote == nil || validated(w.remote, w.engine.now()) && !w.entry.Renewing {
		c, err := w.add(ctx, w.remote != nil)
		if err != nil || c != nil {
			return c, err
		}
	}
	c, err := w.client.DomainChallenge(ctx, w.entry.DomainID, domain, w.entry.Method)
	var refusal *certinext.Error
	if err == nil || !errors.Is(err, certinext.ErrChallengeExpired) && (!errors.As(err, &refusal) || refusal.Status != http.StatusOK) {
		return c, err
	}
	// It has expired, or the answer holds none of the method: a new one is made.
	return w.client.RenewDomainChallenge(ctx, w.entry.DomainID, domain, w.entry.Method)
}

// add registers the domain or, with renew, opens a challenge although it is validated. The challenge is nil when it has to be
// asked for.
func (w *domainWork) add(ctx context.Context, renew bool) (*certinext.Challenge, error) {
	d, c, err := w.client.AddDomain(ctx, certinext.DomainRequest{
		Name: w.entry.Name, OrganizationID: w.entry.OrganizationNumber, Method: w.entry.Method, Renew: renew,
	})
	var refusal *certinext.Error
	switch {
	case errors.As(err, &refusal) && refusal.ExistingDomainID != "":
		w.entry.DomainID = refusal.ExistingDomainID
		return nil, nil
	case err != nil:
		return nil, err
	}
	w.entry.DomainID, w.entry.Renewing = d.ID, renew
	if w.remote == nil {
		w.remote = d
	}
	return c, put(context.WithoutCancel(ctx), w.storage, w.entry.key(), w.entry)
}

// verify has CERTInext look.
func (w *domainWork) verify(ctx context.Context, _ string) error {
	return w.client.VerifyDomain(ctx, w.entry.DomainID)
}
