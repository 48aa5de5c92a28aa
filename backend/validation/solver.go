// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
)

// SolverPrefix is where solvers are stored, each under its name. Their entries hold credentials.
const SolverPrefix = "dcv/solver/"

// A Solver is a DNS host together with the credentials to publish records there.
type Solver struct {
	Name     string
	Provider string                    // one of [SolverKinds]
	Values   map[string]account.Secret // the provider's settings, by the names of its fields
	Ambient  bool                      // act under the identity of the machine
	Zone     string                    // where records are written; found by its SOA record when empty
	TTL      time.Duration             // of the records; a minute when zero
}

// A SolverField is a setting of a DNS host.
type SolverField = dcv.Field

// SolverKinds are the DNS hosts that a solver can be for.
func SolverKinds() []dcv.Kind { return dcv.Kinds() }

// kind returns the solver's DNS host. A stored solver has a known one, unless another version wrote it.
func (v *Solver) kind() dcv.Kind {
	kinds := dcv.Kinds()
	if i := slices.IndexFunc(kinds, func(k dcv.Kind) bool { return k.Name == v.Provider }); i >= 0 {
		return kinds[i]
	}
	return dcv.Kind{}
}

// Settings are what may be told of the solver's settings, and the names of those that may not.
func (v *Solver) Settings() (shown map[string]string, hidden []string) {
	shown, hidden = map[string]string{}, []string{}
	for _, f := range v.kind().Fields {
		value, ok := v.Values[f.Name]
		switch {
		case !ok:
		case f.Secret:
			hidden = append(hidden, f.Name)
		default:
			shown[f.Name] = string(value)
		}
	}
	return shown, hidden
}

// open makes the solver ready for use.
func (v *Solver) open() (*dcv.Solver, error) {
	values := make(map[string]string, len(v.Values))
	for name, value := range v.Values {
		values[name] = string(value)
	}
	p, err := dcv.Open(v.Provider, dcv.Settings{Values: values, Ambient: v.Ambient})
	var wrong *dcv.SettingError
	if errors.As(err, &wrong) {
		return nil, fault.BadField(wrong.Field, "%s", wrong.Problem)
	}
	if err != nil {
		return nil, err
	}
	return &dcv.Solver{Provider: p, TTL: v.TTL}, nil
}

func (v *Solver) validate() error {
	if !issuing.RoleName.MatchString(v.Name) {
		return fault.BadField("name", "%q is not a name: letters, digits, and . _ - inside", sanitize.Short(v.Name))
	}
	if v.Zone != "" && !issuing.IsZone(v.Zone) {
		return fault.BadField("zone", "%q is not a domain name", sanitize.Short(v.Zone))
	}
	if v.TTL < 0 || v.TTL > time.Hour {
		return fault.BadField("ttl", "must be between 1s and 1h, or 0 for a minute")
	}
	return nil
}

// Solver returns a solver, or nil when there is none of that name.
func (pub *Publisher) Solver(ctx context.Context, s logical.Storage, name string) (*Solver, error) {
	stored, err := store.Get[StoredSolver](ctx, s, SolverPrefix+name)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.Solver(name), nil
}

// Solvers lists the names of the solvers.
func (pub *Publisher) Solvers(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, SolverPrefix)
}

// WriteSolver applies change to a solver, validates the outcome and stores it. With patch the solver must exist and keeps what change
// does not touch. The DNS host is not asked; see [Engine.CheckSolver].
//
// A solver that moves to another host could not remove any more what it has published, so it is refused while there is something, unless by
// force: that is forgotten then.
func (pub *Publisher) WriteSolver(ctx context.Context, s logical.Storage, name string, patch, force bool, change func(*Solver) error) error {
	before, err := pub.Solver(ctx, s, name)
	if err != nil {
		return err
	}
	v := &Solver{Name: name, Values: map[string]account.Secret{}}
	if patch {
		if before == nil {
			return &fault.NotFoundError{Kind: "solver", Name: sanitize.Short(name)}
		}
		copied := *before
		copied.Values = maps.Clone(before.Values)
		v = &copied
	}
	if err := change(v); err != nil {
		return err
	}
	if patch && v.Provider != before.Provider {
		return fault.BadField("provider", "cannot be patched, since every other setting belongs to it: write the solver anew")
	}
	maps.DeleteFunc(v.Values, func(_ string, value account.Secret) bool { return value == "" })
	if err := v.validate(); err != nil {
		return err
	}
	if _, err := v.open(); err != nil {
		return err
	}
	if field := moved(before, v); field != "" {
		if err := pub.forgetRecords(ctx, s, name, field, force); err != nil {
			return err
		}
	}
	defer pub.solvers.Forget(name)
	return store.Put(ctx, s, SolverPrefix+name, NewStoredSolver(v))
}

// moved names the setting by which a solver publishes somewhere else than before; empty when it does not. Credentials only say who does.
func moved(before, after *Solver) string {
	if before == nil {
		return ""
	}
	if before.Provider != after.Provider {
		return "provider"
	}
	for _, f := range after.kind().Fields {
		if !f.Credential && before.Values[f.Name] != after.Values[f.Name] {
			return f.Name
		}
	}
	return ""
}

// forgetRecords strikes out what a solver has still to remove, or, without force, says what that is. What may not have been published at
// all is left to be tried.
func (pub *Publisher) forgetRecords(ctx context.Context, s logical.Storage, name, field string, force bool) error {
	left, err := pub.recordsOf(ctx, s, name)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(p PublishedEntry) bool { return !p.Done && field != "name" })
	if len(left) > 0 && !force {
		return fault.BadField(field, "the solver %s has still to remove the %s, for %s; force=true forgets it, and then somebody has to remove it by hand",
			name, left[0].record(), left[0].Owner)
	}
	for i := range left {
		if err := store.Delete(ctx, s, left[i].key()); err != nil {
			return err
		}
	}
	return nil
}

// RemoveSolver forgets a solver that nothing publishes by, unless a record that it has published has still to be removed. With force such
// records are forgotten, too: somebody has to remove them by hand.
func (pub *Publisher) RemoveSolver(ctx context.Context, s logical.Storage, name string, force bool) error {
	if err := pub.forgetRecords(ctx, s, name, "name", force); err != nil {
		return err
	}
	defer pub.solvers.Forget(name)
	return store.Delete(ctx, s, SolverPrefix+name)
}

// Invalidate has the next use of a solver read it again, when its entry has changed in storage elsewhere.
func (pub *Publisher) Invalidate(key string) {
	if name, ok := strings.CutPrefix(key, SolverPrefix); ok {
		pub.solvers.Forget(name)
	}
}

// MustSolver is Solver for callers that cannot go on without one.
func (pub *Publisher) MustSolver(ctx context.Context, s logical.Storage, name string) (*Solver, error) {
	v, err := pub.Solver(ctx, s, name)
	if err == nil && v == nil {
		return nil, &fault.NotFoundError{Kind: "solver", Name: sanitize.Short(name)}
	}
	return v, err
}

// A readySolver is a solver that can publish.
type readySolver struct {
	*dcv.Solver
	name, zone string
}

// readySolver returns the solver of a name, ready for use: it is kept, since a provider remembers tokens and zones.
func (pub *Publisher) readySolver(ctx context.Context, s logical.Storage, name string) (*readySolver, error) {
	return pub.solvers.Get(ctx, name, func() (*readySolver, error) {
		v, err := pub.MustSolver(ctx, s, name)
		if err != nil {
			return nil, err
		}
		open, err := v.open()
		if err != nil {
			return nil, fmt.Errorf("the solver %s: %w", name, err)
		}
		return &readySolver{Solver: open, name: name, zone: v.Zone}, nil
	})
}

// StoredSolver is the entry of a solver.
type StoredSolver struct {
	Version  int               `json:"version"`
	Provider string            `json:"provider"`
	Values   map[string]string `json:"values,omitempty"` // secrets among them
	Ambient  bool              `json:"ambient,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	TTL      time.Duration     `json:"ttl,omitempty"` // nanoseconds
}

// NewStoredSolver returns the form in which v is stored.
func NewStoredSolver(v *Solver) *StoredSolver {
	values := make(map[string]string, len(v.Values))
	for name, value := range v.Values {
		values[name] = string(value)
	}
	return &StoredSolver{Version: 1, Provider: v.Provider, Values: values, Ambient: v.Ambient, Zone: v.Zone, TTL: v.TTL}
}

// Solver returns what was stored under name.
func (s *StoredSolver) Solver(name string) *Solver {
	values := make(map[string]account.Secret, len(s.Values))
	for field, value := range s.Values {
		values[field] = account.Secret(value)
	}
	return &Solver{Name: name, Provider: s.Provider, Values: values, Ambient: s.Ambient, Zone: s.Zone, TTL: s.TTL}
}
