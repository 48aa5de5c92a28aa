// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
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
	Ambient  bool                      // authenticate by the identity of the machine
	Zone     string                    // to publish in; found by its SOA record when empty
	TTL      time.Duration             // of the records; a minute when zero
}

// A SolverField is a setting of a DNS host.
type SolverField = dcv.Field

// SolverKinds returns the kinds of DNS hosts for which there can be solvers.
func SolverKinds() []dcv.Kind { return dcv.Kinds() }

// kind returns the kind of the solver's DNS host. It is zero for a solver that another version
// wrote, and whose kind this one does not know.
func (v *Solver) kind() dcv.Kind {
	kinds := dcv.Kinds()
	if i := slices.IndexFunc(kinds, func(k dcv.Kind) bool { return k.Name == v.Provider }); i >= 0 {
		return kinds[i]
	}
	return dcv.Kind{}
}

// Settings returns the provider's settings that are no secrets, by name, and the names of the
// secrets that are set.
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

// open returns a client of the DNS host, whose requests client makes. It asks the host nothing.
func (v *Solver) open(client *http.Client) (*dcv.Solver, error) {
	values := make(map[string]string, len(v.Values))
	for name, value := range v.Values {
		values[name] = string(value)
	}
	p, err := dcv.Open(v.Provider, dcv.Settings{
		Values: values, Ambient: v.Ambient, HTTPClient: client,
	})
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
		return fault.BadField("name",
			"%q is not a name: use letters and digits, with . _ - between them",
			sanitize.Short(v.Name))
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
	stored, err := store.Get[storedSolver](ctx, s, SolverPrefix+name)
	return stored.solver(name), err
}

// Solvers returns the names of the solvers.
func (pub *Publisher) Solvers(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, SolverPrefix)
}

// WriteSolver applies change to a solver, validates the result and stores it. With patch, the
// solver has to exist, and keeps what change does not set. The DNS host is not asked; see
// [Publisher.CheckSolver].
//
// A solver that moves to another DNS host cannot remove the records that it has published at the
// one before. The move is refused while the journal holds such records. With force they are dropped
// from the journal, and an operator has to remove them (ADR 0015).
func (pub *Publisher) WriteSolver(
	ctx context.Context, s logical.Storage, name string, patch, force bool,
	change func(*Solver) error,
) error {
	return store.Update[storedSolver]{
		Locks: &pub.solverWrites,
		Make: func(before *storedSolver) (*storedSolver, error) {
			v, err := changedSolver(before.solver(name), name, patch, change)
			if err != nil {
				return nil, err
			}
			return newStoredSolver(v), nil
		},
		Admit: func(before, after *storedSolver) error {
			field := relocatingField(before.solver(name), after.solver(name))
			if field == "" {
				return nil
			}
			return pub.forgetRecords(ctx, s, name, field, force)
		},
		Stored: func() { pub.solvers.Forget(name) },
	}.Apply(ctx, s, SolverPrefix+name)
}

// changedSolver returns the solver that a write makes of before, which is nil when there is none.
func changedSolver(
	before *Solver, name string, patch bool, change func(*Solver) error,
) (*Solver, error) {
	v := &Solver{Name: name, Values: map[string]account.Secret{}}
	if patch {
		if before == nil {
			return nil, noSolver(name)
		}
		copied := *before
		copied.Values = maps.Clone(before.Values)
		v = &copied
	}
	if err := change(v); err != nil {
		return nil, err
	}
	if patch && v.Provider != before.Provider {
		return nil, fault.BadField("provider",
			"cannot be patched, since all other settings belong to it: write the whole solver")
	}
	maps.DeleteFunc(v.Values, func(_ string, value account.Secret) bool { return value == "" })
	if err := v.validate(); err != nil {
		return nil, err
	}
	_, err := v.open(nil)
	return v, err
}

// noSolver returns the error that there is no solver of that name.
func noSolver(name string) error {
	return &fault.NotFoundError{
		Kind: "solver", Name: sanitize.Short(name), Command: "list <mount>/dcv/solvers",
	}
}

// relocatingField returns the setting whose change makes a solver publish at another place. It is
// empty when there is none: new credentials change only who publishes.
func relocatingField(before, after *Solver) string {
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

// forgetRecords deletes the journal's entries of a solver or, without force, refuses the write of
// field while there are any. A solver that is only moved keeps the entries of records whose
// publication was never confirmed, and tries to remove those.
func (pub *Publisher) forgetRecords(
	ctx context.Context, s logical.Storage, name, field string, force bool,
) error {
	left, err := pub.recordsOf(ctx, s, name)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(p publishedEntry) bool {
		return !p.Done && field != "name"
	})
	if len(left) > 0 && !force {
		return fault.BadField(field, "the solver %s has still to remove the %s, for %s: wait "+
			"until it has, or set force=true and remove the record by hand",
			name, left[0].record(), left[0].Owner)
	}
	for i := range left {
		if err := store.Delete(ctx, s, left[i].key()); err != nil {
			return err
		}
	}
	return nil
}

// RemoveSolver deletes a solver. It refuses to when unused, which asks storage whether an entry
// names the solver, returns an error, and while the journal holds records of the solver. With force
// they are dropped from the journal, and an operator has to remove them. Nothing that is stored by
// [Publisher.WhileNamed] names a solver that is gone.
func (pub *Publisher) RemoveSolver(
	ctx context.Context, s logical.Storage, name string, force bool, unused func() error,
) error {
	defer pub.solvers.Forget(name)
	return store.DeleteLocked(ctx, s, &pub.solverWrites, SolverPrefix+name, func() error {
		if err := store.RefuseFuture(ctx, s, SolverPrefix+name); err != nil {
			return err
		}
		if err := unused(); err != nil {
			return err
		}
		return pub.forgetRecords(ctx, s, name, "name", force)
	})
}

// WhileNamed calls put, which stores an entry that names a solver, while nobody can delete the
// solver. Like [Publisher.CheckNamed], it refuses a solver that does not exist. An empty name
// stands for no solver.
func (pub *Publisher) WhileNamed(
	ctx context.Context, s logical.Storage, name string, put func() error,
) error {
	if name == "" {
		return put()
	}
	unlock, err := pub.solverWrites.Lock(ctx, SolverPrefix+name)
	if err != nil {
		return fmt.Errorf("waiting for the solver %s: %w", name, err)
	}
	defer unlock()
	if err := pub.CheckNamed(ctx, s, name); err != nil {
		return err
	}
	return put()
}

// Invalidate drops the client of a solver whose entry another node has changed.
func (pub *Publisher) Invalidate(key string) {
	if name, ok := strings.CutPrefix(key, SolverPrefix); ok {
		pub.solvers.Forget(name)
	}
}

// mustSolver is [Publisher.Solver] with a [*fault.NotFoundError] when there is none of that name.
func (pub *Publisher) mustSolver(
	ctx context.Context, s logical.Storage, name string,
) (*Solver, error) {
	v, err := pub.Solver(ctx, s, name)
	if err == nil && v == nil {
		return nil, noSolver(name)
	}
	return v, err
}

// CheckNamed returns an error about the field dcv_solver when that names a solver that does not
// exist. An empty name stands for no solver.
func (pub *Publisher) CheckNamed(ctx context.Context, s logical.Storage, name string) error {
	if name == "" {
		return nil
	}
	v, err := pub.Solver(ctx, s, name)
	if err != nil || v != nil {
		return err
	}
	if !issuing.RoleName.MatchString(name) {
		return fault.BadField("dcv_solver", "no solver can have the name %q: a name has letters "+
			"and digits, with - _ . between them", sanitize.Short(name))
	}
	name = sanitize.Short(name)
	return fault.BadField("dcv_solver", "there is no solver %q: "+
		"write it first (vault path-help <mount>/dcv/solvers/%s)", name, name)
}

// A readySolver is an opened solver.
type readySolver struct {
	*dcv.Solver
	name, zone string // zone is empty when it has to be found
}

// readySolver returns the opened solver of a name, unless the mount is held. It is kept until the
// entry changes, since a provider caches tokens and zones.
func (pub *Publisher) readySolver(
	ctx context.Context, s logical.Storage, name string,
) (*readySolver, error) {
	if err := account.MayChange(pub.Host); err != nil {
		return nil, err
	}
	return pub.solvers.Get(ctx, name, func() (*readySolver, error) {
		v, err := pub.mustSolver(ctx, s, name)
		if err != nil {
			return nil, err
		}
		open, err := v.open(pub.client)
		if err != nil {
			return nil, fmt.Errorf("the solver %s: %w", name, err)
		}
		open.Go = pub.Work.Go
		return &readySolver{Solver: open, name: name, zone: v.Zone}, nil
	})
}

// A storedSolver is the stored form of a [Solver].
type storedSolver struct {
	Version  int               `json:"version"`
	Provider string            `json:"provider"`
	Values   map[string]string `json:"values,omitempty"` // secrets among them
	Ambient  bool              `json:"ambient,omitempty"`
	Zone     string            `json:"zone,omitempty"`
	TTL      time.Duration     `json:"ttl,omitempty"` // nanoseconds
}

// newStoredSolver returns the stored form of v.
func newStoredSolver(v *Solver) *storedSolver {
	values := make(map[string]string, len(v.Values))
	for name, value := range v.Values {
		values[name] = string(value)
	}
	return &storedSolver{
		Version: 1, Provider: v.Provider, Values: values, Ambient: v.Ambient,
		Zone: v.Zone, TTL: v.TTL,
	}
}

// solver returns the solver that was stored under name; nil when s is.
func (s *storedSolver) solver(name string) *Solver {
	if s == nil {
		return nil
	}
	values := make(map[string]account.Secret, len(s.Values))
	for field, value := range s.Values {
		values[field] = account.Secret(value)
	}
	return &Solver{
		Name: name, Provider: s.Provider, Values: values, Ambient: s.Ambient,
		Zone: s.Zone, TTL: s.TTL,
	}
}
