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

// prefix is where the domains are stored that the mount looks after, by name.
const prefix = "dcv/domain/"

// A Registration is a domain that the mount has validated for the account, apart from any order, and may keep validated.
type Registration struct {
	Name               string
	OrganizationNumber string // the config's when empty
	Method             certinext.DCVMethod
	DNS                issuing.DNSValidation
	// Keep has the background pass validate the domain anew before its validation runs out.
	Keep bool
	// RenewBefore is how long before.
	RenewBefore time.Duration
}

// NewRegistration returns a registration with the default of every field.
func NewRegistration(name string) *Registration {
	return &Registration{Name: strings.ToLower(name), Method: certinext.DCVMethodDNS, DNS: issuing.NewDNSValidation(), RenewBefore: defaultRenewBefore}
}

const defaultRenewBefore = 30 * 24 * time.Hour

func (r *Registration) validate() error {
	switch {
	case !issuing.IsZone(r.Name) || strings.Contains(r.Name, "_"):
		return fault.BadField("name", "%q is not a domain name", sanitize.Short(r.Name))
	case r.OrganizationNumber == "":
		return fault.BadField("organization_number", "is required: the organization that the domain is validated for")
	case r.Method != certinext.DCVMethodDNS && r.Method != certinext.DCVMethodHTTP && r.Method != certinext.DCVMethodEmail:
		return fault.BadField("dcv_method", "%q is not dns-txt, http-url or email", sanitize.Short(string(r.Method)))
	case r.DNS.Solver != "" && r.Method != certinext.DCVMethodDNS:
		return fault.BadField("dcv_solver", "publishes DNS records, and dcv_method is %s", r.Method)
	case r.Keep && r.DNS.Solver == "":
		return fault.BadField("keep_validated", "needs a dcv_solver: nobody else can validate the domain in the background")
	case r.RenewBefore < time.Hour || r.RenewBefore > 180*24*time.Hour:
		return fault.BadField("renew_before", "must be between 1h and 180 days")
	case !r.Keep && r.RenewBefore != defaultRenewBefore:
		return fault.BadField("renew_before", "is for keep_validated, which is not set")
	}
	return r.DNS.ValidateFor(r.Method)
}

// A State is where a registered domain stands.
type State struct {
	Registration
	Domain    *account.Domain             // in CERTInext's words; nil when it does not know the domain
	Validated bool                        // so that orders need no validation of their own
	Challenge *validation.DomainChallenge // what to publish, while it has to be validated by hand
	Needs     []string                    // what a solver waits for
	LastError string                      // of the background pass
	NextAt    time.Time                   // when that looks at the domain again; zero when it does not

	done    bool  // nothing is left to validate
	unheard error // of CERTInext's last call that was not answered
}

// Stored is the entry of a Registration.
type Stored struct {
	Version            int                 `json:"version"`
	Name               string              `json:"name"`
	OrganizationNumber string              `json:"organization_number"`
	Account            string              `json:"account"` // where it was registered
	Method             certinext.DCVMethod `json:"method"`
	DNS                issuing.StoredDNS   `json:"dns"`
	Keep               bool                `json:"keep,omitempty"`
	RenewBefore        time.Duration       `json:"renew_before"` // nanoseconds

	DomainID string `json:"domain_id,omitempty"` // CERTInext's
	// ValidatedAt is when the mount has last seen a validation begin to count, and ValidTill when that one runs out.
	ValidatedAt time.Time `json:"validated_at,omitzero"`
	ValidTill   time.Time `json:"valid_till,omitzero"`
	// Renewal is the challenge that was opened although the domain is still validated: CERTInext may not show it again until it is not.
	Renewal *validation.Proof `json:"renewal,omitempty"`
	// Waiting is set while what is published for the domain is needed.
	Waiting   bool      `json:"waiting,omitempty"`
	Attempts  int       `json:"attempts,omitempty"` // of the background pass, in vain
	NextAt    time.Time `json:"next_at,omitzero"`
	LastError string    `json:"last_error,omitempty"`

	fresh bool // not stored yet
}

func (r *Stored) key() string { return prefix + r.Name }

func (r *Stored) registration() Registration {
	return Registration{
		Name: r.Name, OrganizationNumber: r.OrganizationNumber, Method: r.Method, DNS: r.DNS.Validation(), Keep: r.Keep, RenewBefore: r.RenewBefore,
	}
}

// set takes over what an operator has written.
func (r *Stored) set(w *Registration) {
	r.Version, r.Name, r.OrganizationNumber, r.Method = 1, w.Name, w.OrganizationNumber, w.Method
	r.DNS, r.Keep, r.RenewBefore = issuing.StoredDNS(w.DNS), w.Keep, w.RenewBefore
	r.Waiting = r.Waiting && w.DNS.Solver != "" // the sweep removes what the solver before has published
}

// due reports whether a domain that is validated until some time has to be validated now. One whose end is not told is not.
func (r *Stored) due(validTill, now time.Time) bool {
	switch {
	case validTill.IsZero():
		return false
	case r.Keep:
		return !now.Before(validTill.Add(-r.ahead(validTill)))
	}
	return !now.Before(validTill)
}

// ahead is how long before its end a validation is renewed: never more than half of its life, so that it is not due at once.
func (r *Stored) ahead(validTill time.Time) time.Duration {
	if r.ValidatedAt.IsZero() {
		return r.RenewBefore
	}
	return min(r.RenewBefore, validTill.Sub(r.ValidatedAt)/2)
}

// background reports whether the background pass works on the domain: it keeps it validated, or ends what a solver has begun.
func (r *Stored) background() bool { return r.Keep || r.Waiting }

// observeDrive is when the background pass looks at a domain again. It looks daily even if nothing is due, since a domain may
// be deactivated in the portal.
func (r *Stored) nextLook(validTill, now time.Time, attempts int) time.Time {
	if attempts > 0 {
		return now.Add(host.Backoff(attempts-1, 6*time.Hour))
	}
	daily := now.Add(24 * time.Hour)
	if next := validTill.Add(-r.ahead(validTill)); !validTill.IsZero() && next.Before(daily) {
		return next
	}
	return daily
}

// List lists the domains that the mount looks after.
func (keeper *Keeper) List(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, prefix)
}

// Register has the account validate a domain: it is added if CERTInext does not know it, and, unless it is validated
// already, validated by its solver as far as the request lasts, or the answer says what to publish. The mount looks after it
// from then on.
func (keeper *Keeper) Register(ctx context.Context, s logical.Storage, name string, change func(*Registration) error) (*State, error) {
	w := NewRegistration(name)
	if err := change(w); err != nil {
		return nil, err
	}
	_, cfg, err := keeper.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	if w.OrganizationNumber = cmp.Or(w.OrganizationNumber, cfg.OrganizationNumber); cfg.Version() == certinext.V1 {
		return nil, fault.BadField("name", "domains cannot be registered by version 1 of the API (api_version): add them in CERTInext's portal, or validate them with their orders")
	}
	if err := w.validate(); err != nil {
		return nil, err
	}
	if w.DNS.Solver != "" {
		if _, err := keeper.Publisher.MustSolver(ctx, s, w.DNS.Solver); err != nil {
			return nil, fault.BadField("dcv_solver", "%v: write dcv/solvers/%s first", err, sanitize.Short(w.DNS.Solver))
		}
	}
	unlock, err := keeper.domainLocks.Lock(ctx, w.Name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := store.Get[Stored](ctx, s, prefix+w.Name)
	if err != nil {
		return nil, err
	}
	switch {
	case r == nil:
		r = &Stored{Account: cfg.Account(), fresh: true}
	case !account.SameAccount(r.Account, cfg.Account()):
		return nil, fault.BadField("name", "the mount looks after this domain for another CERTInext account than the one in config: delete it here first")
	case r.OrganizationNumber != w.OrganizationNumber:
		return nil, fault.BadField("organization_number", "the mount looks after this domain for the organization %s: delete it here first", sanitize.Short(r.OrganizationNumber))
	}
	r.set(w)
	r.Attempts, r.NextAt, r.LastError = 0, time.Time{}, ""
	return keeper.workOn(ctx, s, r, keeper.Now().Add(account.AskPatience))
}

// Domain tells where a domain stands that the mount looks after; nil when it does not.
func (keeper *Keeper) Domain(ctx context.Context, s logical.Storage, name string) (*State, error) {
	r, err := store.Get[Stored](ctx, s, prefix+strings.ToLower(name))
	if err != nil || r == nil {
		return nil, err
	}
	return account.Ask(ctx, keeper.Account, s, func(ctx context.Context, a *account.Session) (*State, error) {
		w := &work{keeper: keeper, storage: s, client: a.Client, entry: r}
		if !account.SameAccount(r.Account, a.Config.Account()) {
			return nil, fault.BadField("name", "%s belongs to another CERTInext account than the one in config", sanitize.Short(name))
		}
		if err := w.find(ctx); err != nil {
			return nil, err
		}
		state := w.state()
		if w.remote != nil && !state.Validated && r.DNS.Solver == "" {
			c, err := a.Client.DomainChallenge(ctx, r.DomainID, r.Name, r.Method) // a read makes no new one
			state.Challenge = w.byHand(c, err)
		}
		return state, nil
	})
}

// Verify has CERTInext look for the challenge of a domain now or, where the domain has a solver, has that validate it.
func (keeper *Keeper) Verify(ctx context.Context, s logical.Storage, name string) (*State, error) {
	name = strings.ToLower(name)
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := store.Get[Stored](ctx, s, prefix+name)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, &fault.NotFoundError{Kind: "registered domain", Name: sanitize.Short(name)}
	}
	return keeper.workOn(ctx, s, r, keeper.Now().Add(account.AskPatience))
}

// Forget stops looking after a domain. What CERTInext knows of it stays.
func (keeper *Keeper) Forget(ctx context.Context, s logical.Storage, name string) error {
	name = strings.ToLower(name)
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := keeper.Publisher.Withdraw(ctx, s, owner(name), nil); err != nil {
		keeper.Log.Warn("a TXT record could not be removed; the background pass tries again", "domain", name, "error", err)
	}
	return store.Delete(ctx, s, prefix+name)
}

// Due lists the work on domains whose time has come: on no more than limit of them, each of which may take as long as patience.
func (keeper *Keeper) Due(ctx context.Context, s logical.Storage, limit int, patience time.Duration) ([]host.Job, error) {
	names, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	var jobs []host.Job
	for _, name := range names {
		r, err := store.Get[Stored](ctx, s, prefix+name)
		if err != nil {
			return nil, err
		}
		if r != nil && r.background() && !keeper.Now().Before(r.NextAt) && len(jobs) < limit {
			jobs = append(jobs, func(ctx context.Context) error { return keeper.keep(ctx, s, name, patience) })
		}
	}
	return jobs, nil
}

// keep looks at one domain, and validates it anew when that is due.
func (keeper *Keeper) keep(ctx context.Context, s logical.Storage, name string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	unlock, err := keeper.domainLocks.Lock(ctx, name)
	if err != nil {
		return nil // a request is at it
	}
	defer unlock()
	r, err := store.Get[Stored](ctx, s, prefix+name)
	if err != nil || r == nil || !r.background() || keeper.Now().Before(r.NextAt) {
		return err
	}
	began := keeper.Now()
	state, err := keeper.workOn(ctx, s, r, keeper.Now())
	var (
		refusal *fault.RefusedError
		field   *fault.FieldError
	)
	switch {
	case errors.As(err, &refusal):
		keeper.Account.Observe(refusal.Err, began)
		return nil // kept with the domain
	case errors.As(err, &field):
		return nil // another account's, until that is there again
	case err == nil:
		keeper.Account.Observe(state.unheard, began)
	}
	return err
}

// workOn validates a domain if that is due, goes on until it is done or the time has come, and stores what has become of it.
func (keeper *Keeper) workOn(ctx context.Context, s logical.Storage, r *Stored, until time.Time) (*State, error) {
	ctx, stop := keeper.UntilClosed(ctx)
	defer stop()
	return account.Ask(ctx, keeper.Account, s, func(ctx context.Context, a *account.Session) (*State, error) {
		if !account.SameAccount(r.Account, a.Config.Account()) {
			return nil, fault.BadField("name", "%s belongs to another CERTInext account than the one in config", r.Name)
		}
		w := &work{keeper: keeper, storage: s, client: a.Client, entry: r}
		state, err := w.run(ctx, until)
		if err != nil && r.fresh {
			return nil, errors.Join(err, w.forget(ctx))
		}
		r.took(state, err, keeper.Now())
		if state != nil {
			state.LastError, state.NextAt = r.LastError, r.NextAt
		}
		if stored := w.save(ctx); stored != nil {
			return nil, stored
		}
		return state, err
	})
}

// took notes what an attempt has come to, and when the next one is due.
func (r *Stored) took(state *State, err error, now time.Time) {
	wait := account.Hint(err)
	switch {
	case err != nil:
		r.LastError = sanitize.Error(err)
		r.Attempts++
	case !state.done:
		r.LastError = sanitize.Text(strings.Join(state.Needs, "; "), validation.MaxText)
		r.Attempts++
		wait = account.Hint(state.unheard)
	default:
		r.LastError, r.Attempts, r.Renewal = "", 0, nil
	}
	if r.NextAt = (time.Time{}); !r.background() {
		return
	}
	if r.NextAt = r.nextLook(r.ValidTill, now, r.Attempts); r.NextAt.Before(now.Add(wait)) {
		r.NextAt = now.Add(wait)
	}
}

// OwnerKind is the kind of owner that a domain is, of published records.
const OwnerKind = "domain"

func owner(name string) string { return OwnerKind + "/" + name }

// KeepsRecords reports whether what is published for a domain has to stay, since it waits for its validation.
func KeepsRecords(ctx context.Context, s logical.Storage, name string) (bool, error) {
	r, err := store.Get[Stored](ctx, s, prefix+name)
	return r != nil && r.Waiting, err
}

// ValidatedBy lists the domains that a solver validates.
func (keeper *Keeper) ValidatedBy(ctx context.Context, s logical.Storage, solver string) ([]string, error) {
	names, err := keeper.List(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		r, err := store.Get[Stored](ctx, s, prefix+name)
		if err != nil {
			return nil, err
		}
		if r != nil && r.DNS.Solver == solver {
			out = append(out, name)
		}
	}
	return out, nil
}
