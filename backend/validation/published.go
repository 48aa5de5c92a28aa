// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
)

// recordPrefix is where the journal of published records is stored, one entry each, at
// <owner>/<hash of solver, zone, name and value>.
const recordPrefix = "dcv/record/"

// A publishedEntry is the journal's entry for one record (ADR 0015). It is stored before the DNS
// host is asked to publish the record, and deleted after the host has confirmed its removal. A pass
// that finds the entry after a crash therefore knows what to remove.
type publishedEntry struct {
	Version   int       `json:"version"`
	Owner     string    `json:"owner"`  // order/<role>/<id>, domain/<name> or check/<id>
	Domain    string    `json:"domain"` // the domain that the record validates
	Solver    string    `json:"solver"`
	Name      string    `json:"name"`
	Zone      string    `json:"zone"`
	Value     string    `json:"value"`
	At        time.Time `json:"at"`                   // when it was stored or, with Done, published
	Done      bool      `json:"done,omitempty"`       // the DNS host confirmed publication
	LastError string    `json:"last_error,omitempty"` // of the latest attempt to remove it
	Tries     int       `json:"tries,omitempty"`      // failed attempts to remove it
	RetryAt   time.Time `json:"retry_at,omitzero"`    // of the next attempt to remove it
}

func (p *publishedEntry) record() dcv.Record {
	return dcv.Record{Name: p.Name, Zone: p.Zone, Value: p.Value}
}

// key returns the storage key. Its last element is the same for all owners of one record.
func (p *publishedEntry) key() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Solver, p.Zone, p.Name, p.Value}, "\x00")))
	return recordPrefix + p.Owner + "/" + hex.EncodeToString(sum[:16])
}

// checkKind is the kind of owner that a check of a solver is.
const checkKind = "check"

// checkOwner returns the owner of the test record of a check.
func checkOwner(id string) string { return checkKind + "/" + id }

// A Published is a record in the journal: it is published, or may be.
type Published struct {
	Name, Zone string    // without the final dot
	Owner      string    // order/<role>/<id>, domain/<name> or check/<id>
	Since      time.Time // when it was published, or when that was first tried
	LastError  string    // of the latest attempt to remove it; empty when there was none
}

// PublishedBy returns the records that a solver has published and not removed yet.
func (pub *Publisher) PublishedBy(
	ctx context.Context, s logical.Storage, solver string,
) ([]Published, error) {
	entries, err := pub.recordsOf(ctx, s, solver)
	if err != nil {
		return nil, err
	}
	out := make([]Published, len(entries))
	for i, p := range entries {
		out[i] = Published{
			Name: strings.TrimSuffix(p.Name, "."), Zone: strings.TrimSuffix(p.Zone, "."),
			Owner: p.Owner, Since: p.At, LastError: p.LastError,
		}
	}
	return out, nil
}

// publish stores a record in the journal and has the solver publish it. The entry stays when that
// fails, since the DNS host may have published the record all the same.
func (pub *Publisher) publish(
	ctx context.Context, s logical.Storage, v *readySolver, owner, domain string, r dcv.Record,
) error {
	p := &publishedEntry{
		Version: 1, Owner: owner, Domain: domain, Solver: v.name,
		Name: r.Name, Zone: r.Zone, Value: r.Value, At: pub.Now(),
	}
	if err := pub.announce(ctx, s, p); err != nil {
		return err
	}
	pub.Log.Debug("publishing a TXT record",
		"name", r.Name, "zone", r.Zone, "solver", v.name, "owner", owner)
	if err := v.Publish(ctx, r); err != nil {
		return err
	}
	return pub.confirm(context.WithoutCancel(ctx), s, p)
}

// announce stores the entry of a record that is about to be published. It waits for whoever is
// removing the same record: that one has looked for other owners already, and would remove what is
// published now.
func (pub *Publisher) announce(ctx context.Context, s logical.Storage, p *publishedEntry) error {
	unlock, err := pub.recordLocks.Lock(ctx, path.Base(p.key()))
	if err != nil {
		return err
	}
	defer unlock()
	return store.Put(ctx, s, p.key(), p)
}

// errWithdrawn is the error for a record that was removed while it was published.
var errWithdrawn = errors.New("publishing the record: it was removed meanwhile")

// confirm stores that the DNS host has published a record. Its error is [errWithdrawn] when the
// entry has been removed meanwhile: the record may be there or not, so the entry is stored again as
// one that is not confirmed.
func (pub *Publisher) confirm(ctx context.Context, s logical.Storage, p *publishedEntry) error {
	unlock, err := pub.recordLocks.Lock(ctx, path.Base(p.key()))
	if err != nil {
		return err
	}
	defer unlock()
	now, err := store.Get[publishedEntry](ctx, s, p.key())
	if err != nil {
		return err
	}
	p.At, p.Done = pub.Now(), now != nil
	if err := store.Put(ctx, s, p.key(), p); err != nil {
		return err
	}
	if !p.Done {
		return errWithdrawn
	}
	return nil
}

// publishedFor returns the journal's entries of an owner.
func (pub *Publisher) publishedFor(
	ctx context.Context, s logical.Storage, owner string,
) ([]publishedEntry, error) {
	names, err := store.List(ctx, s, recordPrefix+owner+"/")
	if err != nil {
		return nil, err
	}
	var out []publishedEntry
	for _, name := range names {
		p, err := store.Get[publishedEntry](ctx, s, recordPrefix+owner+"/"+name)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

// Withdraw removes an owner's records, except those that keep reports true for; keep may be nil. It
// tries all of them and joins their errors. A record that could not be removed stays in the journal
// with the reason, for the background pass to try again.
func (pub *Publisher) Withdraw(
	ctx context.Context, s logical.Storage, owner string, keep func(*publishedEntry) bool,
) error {
	published, err := pub.publishedFor(ctx, s, owner)
	if err != nil {
		return err
	}
	published = slices.DeleteFunc(published, func(p publishedEntry) bool {
		return keep != nil && keep(&p)
	})
	var errs []error
	for i := range published {
		errs = append(errs, pub.removeRecord(ctx, s, &published[i]))
	}
	return errors.Join(errs...)
}

// removeRecord removes one record and its entry, unless its owner has published it again since p
// was read. While another owner has an entry for the same record, only this entry goes, and the
// last owner removes the record.
func (pub *Publisher) removeRecord(
	ctx context.Context, s logical.Storage, p *publishedEntry,
) error {
	hash := path.Base(p.key())
	// Without the lock, two owners that withdraw at once would each see the other's entry, and
	// neither would remove the record.
	unlock, err := pub.recordLocks.Lock(ctx, hash)
	if err != nil {
		return err
	}
	defer unlock()
	if now, err := store.Get[publishedEntry](ctx, s, p.key()); err != nil || !p.isSame(now) {
		return err
	}
	journal, err := pub.journal(ctx, s)
	if err != nil {
		return err
	}
	ofAnotherOwner := func(key string) bool { return key != p.key() && path.Base(key) == hash }
	if !slices.ContainsFunc(journal, ofAnotherOwner) {
		v, err := pub.readySolver(ctx, s, p.Solver)
		if err == nil {
			err = v.Remove(ctx, p.record())
		}
		if err != nil {
			return errors.Join(err, pub.retryLater(context.WithoutCancel(ctx), s, p, err))
		}
		pub.Log.Debug("removed a TXT record",
			"name", p.Name, "zone", p.Zone, "solver", p.Solver, "owner", p.Owner)
	}
	return store.Delete(context.WithoutCancel(ctx), s, p.key())
}

// isSame reports whether now is p, published no later; nil stands for no entry.
func (p *publishedEntry) isSame(now *publishedEntry) bool {
	return now != nil && now.At.Equal(p.At) && now.Done == p.Done
}

// retryLater notes in the entry why its record could not be removed, and when to try again. An
// entry that was deleted meanwhile stays so: an operator has had it forgotten.
func (pub *Publisher) retryLater(
	ctx context.Context, s logical.Storage, p *publishedEntry, why error,
) error {
	now, err := store.Get[publishedEntry](ctx, s, p.key())
	if err != nil || now == nil {
		return err
	}
	p.LastError = sanitize.Error(why)
	p.RetryAt = pub.Now().Add(host.PassDelay(p.Tries))
	p.Tries++
	return store.Put(ctx, s, p.key(), p)
}

// journal returns the keys of all entries of the journal.
func (pub *Publisher) journal(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.Collect(ctx, s, recordPrefix)
}

// recordsOf returns the journal's entries of a solver.
func (pub *Publisher) recordsOf(
	ctx context.Context, s logical.Storage, solver string,
) ([]publishedEntry, error) {
	keys, err := pub.journal(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []publishedEntry
	for _, key := range keys {
		p, err := store.Get[publishedEntry](ctx, s, key)
		if err != nil {
			return nil, err
		}
		if p != nil && p.Solver == solver {
			out = append(out, *p)
		}
	}
	return out, nil
}

// reconcileTime bounds how long a pass waits for DNS hosts.
const reconcileTime = 15 * time.Second

// checkLife is longer than any check of a solver takes. A crash has left the test record of an
// older one.
const checkLife = 10 * time.Minute

// Needs reports whether the owner kind/name, such as order/<role>/<id>, still needs its records.
// known is false when this version has no such kind of owner.
type Needs func(ctx context.Context, kind, name string) (needed, known bool, err error)

// ReconcileRecords removes the records that their owners do not need any more: those of orders that
// are validated or closed, and those that a crash has left. The background pass calls it. A record
// that cannot be removed stays in the journal with the reason, and is not an error of the pass.
func (pub *Publisher) ReconcileRecords(ctx context.Context, s logical.Storage, needs Needs) error {
	keys, err := pub.journal(ctx, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reconcileTime)
	defer cancel()
	var owners []string
	for _, key := range keys {
		owners = append(owners, path.Dir(strings.TrimPrefix(key, recordPrefix)))
	}
	slices.Sort(owners)
	for _, owner := range slices.Compact(owners) {
		if ctx.Err() != nil {
			return nil
		}
		if err := pub.reconcileOwner(ctx, s, owner, needs); err != nil {
			pub.Log.Warn(
				"a superfluous TXT record could not be removed; the background pass tries again",
				"owner", owner, "error", err)
		}
	}
	return nil
}

// reconcileOwner removes an owner's records unless it still needs them. An owner that begins to
// need them meanwhile does not see them at the zone's servers, and publishes them again.
func (pub *Publisher) reconcileOwner(
	ctx context.Context, s logical.Storage, owner string, needs Needs,
) error {
	kind, name, _ := strings.Cut(owner, "/")
	if kind == checkKind {
		return pub.Withdraw(ctx, s, owner, func(p *publishedEntry) bool {
			return pub.Now().Before(p.At.Add(checkLife)) || pub.retriesLater(p)
		})
	}
	needed, known, err := needs(ctx, kind, name)
	switch {
	case err != nil:
		return err
	case !known:
		pub.Log.Error("the journal of TXT records names an owner that this version does not know",
			"owner", owner)
		return nil
	case needed:
		return nil
	}
	return pub.Withdraw(ctx, s, owner, pub.retriesLater)
}

// retriesLater reports whether it is too early for the next attempt to remove a record.
func (pub *Publisher) retriesLater(p *publishedEntry) bool { return pub.Now().Before(p.RetryAt) }
