// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"cmp"
	"context"
	"errors"
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

// prefix is where registered domains are stored, each under its name.
const prefix = "dcv/domain/"

// A Registration says how a domain is validated for the account, apart from any order.
type Registration struct {
	Name               string // in lower case
	OrganizationNumber string // the config's when empty
	Method             certinext.DCVMethod
	DNS                issuing.DNSValidation
	// Keep has the background pass validate the domain again before its validation expires.
	Keep bool
	// RenewBefore is how long before that, with Keep.
	RenewBefore time.Duration
}

const defaultRenewBefore = 30 * 24 * time.Hour

// longestRenewBefore is the most that it may be.
const longestRenewBefore = 180 * 24 * time.Hour

// NewRegistration returns a registration of the named domain with the default of every other field.
func NewRegistration(name string) *Registration {
	return &Registration{
		Name: strings.ToLower(name), Method: certinext.DCVMethodDNS,
		DNS: issuing.NewDNSValidation(), RenewBefore: defaultRenewBefore,
	}
}

// validate returns a [*fault.FieldError] for the first field that is wrong.
func (r *Registration) validate() error {
	switch {
	case !issuing.IsZone(r.Name) || strings.Contains(r.Name, "_"):
		return fault.BadField("name", "%q is not a domain name", sanitize.Short(r.Name))
	case r.OrganizationNumber == "":
		return fault.BadField("organization_number",
			"is required, here or in config: the organization that the domain is validated for")
	case r.Keep && r.DNS.Solver == "":
		return fault.BadField("keep_validated",
			"needs a dcv_solver: without one, the background pass cannot validate the domain")
	case r.RenewBefore < time.Hour || r.RenewBefore > longestRenewBefore:
		return fault.BadField("renew_before", "must be between 1h and 180 days")
	case !r.Keep && r.RenewBefore != defaultRenewBefore:
		return fault.BadField("renew_before", "is for keep_validated, which is not set")
	}
	return r.DNS.ValidateFor(r.Method)
}

// A State describes a registered domain.
type State struct {
	Registration
	Domain    *account.Domain             // as CERTInext returned it; nil when it does not know it
	Validated bool                        // orders need no validation of their own
	Challenge *validation.DomainChallenge // what to publish, while it is validated without a solver
	Needs     []string                    // what the validation waits for
	LastError string                      // of the latest attempt to validate it
	NextAt    time.Time                   // when the background pass tries next; zero for never
	// KeptUntil is set for a domain that is kept validated for an order that is expected by then,
	// and that nobody has registered.
	KeptUntil time.Time

	done       bool  // nothing is left to validate
	unanswered error // of the latest call that CERTInext did not answer
}

// A stored is the stored form of a [Registration], together with the state of its validation.
type stored struct {
	Version            int                 `json:"version"`
	Name               string              `json:"name"`
	OrganizationNumber string              `json:"organization_number"`
	Account            string              `json:"account"` // that it was registered for
	Method             certinext.DCVMethod `json:"method"`
	DNS                issuing.StoredDNS   `json:"dns"`
	Keep               bool                `json:"keep,omitempty"`
	RenewBefore        time.Duration       `json:"renew_before"` // nanoseconds

	DomainID string `json:"domain_id,omitempty"` // CERTInext's id
	// ValidatedAt is when the mount saw the current validation begin, and ValidTill when it
	// expires.
	ValidatedAt time.Time `json:"validated_at,omitzero"`
	ValidTill   time.Time `json:"valid_till,omitzero"`
	// Renewal is a challenge that was opened while the domain was still validated. It is kept since
	// CERTInext may not show it again before the validation has expired.
	Renewal *validation.Proof `json:"renewal,omitempty"`
	// Until is until when the domain is kept validated for an order that is expected; zero for a
	// domain that somebody has registered.
	Until time.Time `json:"until,omitzero"`
	// Waiting is set while the records that are published for the domain are needed.
	Waiting   bool      `json:"waiting,omitempty"`
	Attempts  int       `json:"attempts,omitempty"`   // in a row that did not validate it
	NextAt    time.Time `json:"next_at,omitzero"`     // of the background pass; zero for never
	LastError string    `json:"last_error,omitempty"` // of the latest attempt

	fresh  bool // not stored yet
	naming bool // what is stored does not name the solver yet
}

func (r *stored) key() string { return prefix + r.Name }

func (r *stored) toRegistration() Registration {
	return Registration{
		Name: r.Name, OrganizationNumber: r.OrganizationNumber, Method: r.Method,
		DNS: r.DNS.Validation(), Keep: r.Keep, RenewBefore: r.RenewBefore,
	}
}

// apply copies the fields that an operator has written.
func (r *stored) apply(w *Registration) {
	r.Version = 1
	r.Name, r.OrganizationNumber = w.Name, w.OrganizationNumber
	r.Method, r.DNS = w.Method, issuing.StoredDNS(w.DNS)
	r.Keep, r.RenewBefore = w.Keep, w.RenewBefore
	// Without a solver, ReconcileRecords removes the records that the one before has published.
	r.Waiting = r.Waiting && w.DNS.Solver != ""
}

// due reports whether a validation that expires at validTill has to be renewed now. It is not due
// when CERTInext does not say when it expires.
func (r *stored) due(validTill, now time.Time) bool {
	switch {
	case validTill.IsZero():
		return false
	case r.Keep:
		return !now.Before(validTill.Add(-r.leadTime(validTill)))
	}
	return !now.Before(validTill)
}

// leadTime returns how long before it expires a validation is renewed. It is half of the
// validation's life at most, so that a new validation is not due at once.
func (r *stored) leadTime(validTill time.Time) time.Duration {
	if r.ValidatedAt.IsZero() {
		return r.RenewBefore
	}
	return min(r.RenewBefore, validTill.Sub(r.ValidatedAt)/2)
}

// inBackground reports whether the background pass works on the domain: to keep it validated, or to
// complete a validation that a solver has begun.
func (r *stored) inBackground() bool { return r.Keep || r.Waiting }

// nextCheck returns when the background pass looks at a domain again, after so many attempts that
// did not validate it. It looks daily even if nothing is due, since a domain may be deactivated in
// CERTInext's portal.
func (r *stored) nextCheck(validTill, now time.Time, attempts int) time.Time {
	if attempts > 0 {
		return now.Add(host.Backoff(attempts-1, 6*time.Hour))
	}
	daily := now.Add(24 * time.Hour)
	if next := validTill.Add(-r.leadTime(validTill)); !validTill.IsZero() && next.Before(daily) {
		return next
	}
	return daily
}

// List returns the names of the registered domains.
func (keeper *Keeper) List(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, prefix)
}

// Register applies change to the defaults of a domain, stores it, and begins to validate it. The
// domain is added to the account unless CERTInext knows it. With a solver, the request waits for
// the validation, for [account.AskPatience] at most; the background pass completes it. Without one,
// the state says what to publish. A new registration whose first attempt fails is not kept.
func (keeper *Keeper) Register(
	ctx context.Context, s logical.Storage, name string, change func(*Registration) error,
) (*State, error) {
	w := NewRegistration(name)
	if err := change(w); err != nil {
		return nil, err
	}
	_, cfg, err := keeper.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	w.OrganizationNumber = cmp.Or(w.OrganizationNumber, cfg.OrganizationNumber)
	if cfg.Version() == certinext.V1 {
		return nil, fault.BadField("name", "domains cannot be registered by version 1 of the API "+
			"(api_version): add them in CERTInext's portal, or validate them with their orders")
	}
	if err := w.validate(); err != nil {
		return nil, err
	}
	if err := keeper.Publisher.CheckNamed(ctx, s, w.DNS.Solver); err != nil {
		return nil, err
	}
	unlock, err := keeper.domainLocks.Lock(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := store.Get[stored](ctx, s, prefix+w.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case r == nil:
		r = &stored{Account: cfg.Account(), fresh: true}
	case !account.SameAccount(r.Account, cfg.Account()):
		return nil, fault.BadField("name", "is registered here for another CERTInext account than "+
			"the one in config: delete it here first")
	case r.OrganizationNumber != w.OrganizationNumber:
		return nil, fault.BadField("organization_number",
			"the domain is registered here for the organization %s: delete it here first",
			sanitize.Short(r.OrganizationNumber))
	}
	r.naming = r.fresh || r.DNS.Solver != w.DNS.Solver
	r.apply(w)
	r.Attempts, r.LastError = 0, ""
	r.NextAt, r.Until = time.Time{}, time.Time{}
	return keeper.validate(ctx, s, r, keeper.Now().Add(account.AskPatience))
}

// Domain asks CERTInext for the state of a registered domain. It is nil when the domain is not
// registered here.
func (keeper *Keeper) Domain(
	ctx context.Context, s logical.Storage, name string,
) (*State, error) {
	r, err := store.Get[stored](ctx, s, prefix+strings.ToLower(name))
	if err != nil || r == nil {
		return nil, err
	}
	read := func(ctx context.Context, a *account.Session) (*State, error) {
		v := &validator{keeper: keeper, storage: s, client: a.Client, entry: r}
		if !account.SameAccount(r.Account, a.Config.Account()) {
			return nil, fault.BadField("name",
				"%s belongs to another CERTInext account than the one in config",
				sanitize.Short(name))
		}
		if err := v.find(ctx); err != nil {
			return nil, err
		}
		state := v.state()
		if v.remote != nil && !state.Validated && r.DNS.Solver == "" {
			// A read shows the open challenge, and makes no new one.
			c, err := a.Client.DomainChallenge(ctx, r.DomainID, r.Name, r.Method)
			state.Challenge = v.manualChallenge(c, err)
		}
		return state, nil
	}
	return account.Ask(ctx, keeper.Account, s, read)
}

// Verify validates a registered domain now if that is due: by its solver, or else by having
// CERTInext look for what its owner has published. It returns a [*fault.NotFoundError] when the
// domain is not registered here.
func (keeper *Keeper) Verify(
	ctx context.Context, s logical.Storage, name string,
) (*State, error) {
	name = strings.ToLower(name)
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := store.Get[stored](ctx, s, prefix+name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &fault.NotFoundError{
			Kind: "registered domain", Name: sanitize.Short(name),
			Command: "list <mount>/domains",
		}
	}
	return keeper.validate(ctx, s, r, keeper.Now().Add(account.AskPatience))
}

// Forget removes a registration and its DNS records. The domain stays in the CERTInext account.
func (keeper *Keeper) Forget(ctx context.Context, s logical.Storage, name string) error {
	name = strings.ToLower(name)
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	return keeper.forget(ctx, s, name)
}

// forget is Forget while the caller holds the domain's lock.
func (keeper *Keeper) forget(ctx context.Context, s logical.Storage, name string) error {
	if err := store.RefuseFuture(ctx, s, prefix+name); err != nil {
		return err
	}
	if err := keeper.Publisher.Withdraw(ctx, s, owner(name), nil); err != nil {
		keeper.Log.Warn("a TXT record could not be removed; the background pass tries again",
			"domain", name, "error", err)
	}
	return store.Delete(ctx, s, prefix+name)
}

// Due returns jobs of the background pass for the domains whose next attempt is due, limit of them
// at most. Each job takes no longer than patience. Entries that cannot be read are skipped, and
// reported in the error.
func (keeper *Keeper) Due(
	ctx context.Context, s logical.Storage, limit int, patience time.Duration,
) ([]host.Job, error) {
	names, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	var (
		jobs []host.Job
		errs []error
		seen = make([]Validity, 0, len(names))
	)
	for _, name := range names {
		r, err := store.Get[stored](ctx, s, prefix+name)
		if err != nil {
			errs = append(errs, err)
		}
		if r != nil {
			seen = append(seen, r.validity())
		}
		if r != nil && r.inBackground() && !keeper.Now().Before(r.NextAt) && len(jobs) < limit {
			jobs = append(jobs, func(ctx context.Context) error {
				return keeper.keepValidated(ctx, s, name, patience)
			})
		}
	}
	keeper.seen.Store(&seen)
	return jobs, errors.Join(errs...)
}

// keepValidated is the background pass's attempt at one domain. What CERTInext has refused is
// stored with the domain, and is not an error of the pass.
func (keeper *Keeper) keepValidated(
	ctx context.Context, s logical.Storage, name string, patience time.Duration,
) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return nil // a request has the lock, and validates the domain itself
	}
	defer unlock()
	r, err := store.Get[stored](ctx, s, prefix+name)
	if err != nil || r == nil || !r.inBackground() || keeper.Now().Before(r.NextAt) {
		return err
	}
	if r.isOver(keeper.Now()) {
		return keeper.forget(ctx, s, name)
	}
	began := keeper.Now()
	state, err := keeper.validate(ctx, s, r, keeper.Now())
	var (
		refusal *fault.RefusedError
		field   *fault.FieldError
	)
	switch {
	case errors.As(err, &refusal):
		keeper.Account.Observe(refusal.Err, began)
		return nil // stored as the domain's last error
	case errors.As(err, &field):
		return nil // of another account: the domain waits until config names that again
	case errors.Is(err, fault.ErrNotConfigured):
		return nil // the domain waits for a config
	case err == nil:
		keeper.Account.Observe(state.unanswered, began)
	}
	return err
}

// validate validates a domain if that is due, for as long as until, and stores the outcome. The
// caller holds the domain's lock.
func (keeper *Keeper) validate(
	ctx context.Context, s logical.Storage, r *stored, until time.Time,
) (*State, error) {
	ctx, stop := keeper.UntilClosed(ctx)
	defer stop()
	attempt := func(ctx context.Context, a *account.Session) (*State, error) {
		if !account.SameAccount(r.Account, a.Config.Account()) {
			return nil, fault.BadField("name",
				"%s belongs to another CERTInext account than the one in config", r.Name)
		}
		v := &validator{keeper: keeper, storage: s, client: a.Client, entry: r}
		state, err := v.run(ctx, until)
		if err != nil && r.fresh {
			return nil, errors.Join(err, v.forget(ctx))
		}
		r.recordOutcome(state, err, keeper.Now())
		if state != nil {
			state.LastError, state.NextAt = r.LastError, r.NextAt
		}
		if failed := v.save(ctx); failed != nil {
			return nil, failed
		}
		return state, err
	}
	return account.Ask(ctx, keeper.Account, s, attempt)
}

// recordOutcome notes the outcome of an attempt, and when the next one is due.
func (r *stored) recordOutcome(state *State, err error, now time.Time) {
	wait := account.Hint(err)
	switch {
	case err != nil:
		r.LastError = sanitize.Error(err)
		r.Attempts++
	case !state.done:
		r.LastError = sanitize.Text(strings.Join(state.Needs, "; "), validation.MaxText)
		r.Attempts++
		wait = account.Hint(state.unanswered)
	default:
		r.LastError, r.Attempts = "", 0
		r.Renewal = nil
	}
	r.NextAt = time.Time{}
	if !r.inBackground() {
		return
	}
	r.NextAt = r.nextCheck(r.ValidTill, now, r.Attempts)
	if r.NextAt.Before(now.Add(wait)) {
		r.NextAt = now.Add(wait)
	}
}

// OwnerKind is the kind of owner that a domain is, in the journal of package validation.
const OwnerKind = "domain"

func owner(name string) string { return OwnerKind + "/" + name }

// KeepsRecords reports whether the records of a domain are still needed for its validation.
func KeepsRecords(ctx context.Context, s logical.Storage, name string) (bool, error) {
	r, err := store.Get[stored](ctx, s, prefix+name)
	return r != nil && r.Waiting, err
}

// ValidatedBy returns the names of the registered domains that a solver validates.
func (keeper *Keeper) ValidatedBy(
	ctx context.Context, s logical.Storage, solver string,
) ([]string, error) {
	names, err := keeper.List(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		r, err := store.Get[stored](ctx, s, prefix+name)
		if err != nil {
			return nil, err
		}
		if r != nil && r.DNS.Solver == solver {
			out = append(out, name)
		}
	}
	return out, nil
}
