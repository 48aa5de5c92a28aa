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

// recordPrefix is where the journal is stored, under owner and hash: what is published in somebody's DNS, or may be.
const recordPrefix = "dcv/record/"

// PublishedEntry is the journal of a record in somebody's DNS. It is stored before the record is published and removed
// after it was taken away, so that whatever happens in between, somebody knows what to take away.
type PublishedEntry struct {
	Version   int       `json:"version"`
	Owner     string    `json:"owner"`  // see orderOwner, owner and checkOwner
	Domain    string    `json:"domain"` // whose control it proves
	Solver    string    `json:"solver"`
	Name      string    `json:"name"`
	Zone      string    `json:"zone"`
	Value     string    `json:"value"`
	At        time.Time `json:"at"`
	Done      bool      `json:"done,omitempty"`       // the DNS host has said that it is published
	LastError string    `json:"last_error,omitempty"` // of removing it
	Tries     int       `json:"tries,omitempty"`      // of removing it, in vain
	RetryAt   time.Time `json:"retry_at,omitzero"`
}

func (p *PublishedEntry) record() dcv.Record {
	return dcv.Record{Name: p.Name, Zone: p.Zone, Value: p.Value}
}

// key ends in what tells one record from another, and where it was published, whoever it is for.
func (p *PublishedEntry) key() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{p.Solver, p.Zone, p.Name, p.Value}, "\x00")))
	return recordPrefix + p.Owner + "/" + hex.EncodeToString(sum[:16])
}

// checkOwner is for whom the record of a check of a solver is published.
func checkOwner(id string) string { return checkKind + "/" + id }

const checkKind = "check"

// A Published is a record that is published, or may be.
type Published struct {
	Name, Zone string
	Owner      string // order/<role>/<id>, domain/<name> or check/<id>
	Since      time.Time
	LastError  string // of removing it
}

// PublishedBy returns what a solver has published and not removed yet.
func (pub *Publisher) PublishedBy(ctx context.Context, s logical.Storage, solver string) ([]Published, error) {
	entries, err := pub.recordsOf(ctx, s, solver)
	if err != nil {
		return nil, err
	}
	out := make([]Published, len(entries))
	for i, p := range entries {
		out[i] = Published{
			Name: strings.TrimSuffix(p.Name, "."), Zone: strings.TrimSuffix(p.Zone, "."), Owner: p.Owner, Since: p.At, LastError: p.LastError,
		}
	}
	return out, nil
}

// publish writes a record down and has the solver publish it. It is in the journal even when that failed, since the DNS host
// may have published it.
func (pub *Publisher) publish(ctx context.Context, s logical.Storage, v *readySolver, owner, domain string, r dcv.Record) error {
	p := &PublishedEntry{Version: 1, Owner: owner, Domain: domain, Solver: v.name, Name: r.Name, Zone: r.Zone, Value: r.Value, At: pub.Now()}
	if err := store.Put(ctx, s, p.key(), p); err != nil {
		return err
	}
	pub.Log.Debug("publishing a TXT record", "name", r.Name, "zone", r.Zone, "solver", v.name, "owner", owner)
	if err := v.Publish(ctx, r); err != nil {
		return err
	}
	p.At, p.Done = pub.Now(), true
	return store.Put(context.WithoutCancel(ctx), s, p.key(), p)
}

// publishedFor returns what the journal holds for an owner.
func (pub *Publisher) publishedFor(ctx context.Context, s logical.Storage, owner string) ([]PublishedEntry, error) {
	names, err := store.List(ctx, s, recordPrefix+owner+"/")
	if err != nil {
		return nil, err
	}
	var out []PublishedEntry
	for _, name := range names {
		p, err := store.Get[PublishedEntry](ctx, s, recordPrefix+owner+"/"+name)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

// Withdraw takes away what was published for an owner, all of it or what keep does not want kept. It goes on after a failure, which stays
// in the journal with its reason.
func (pub *Publisher) Withdraw(ctx context.Context, s logical.Storage, owner string, keep func(*PublishedEntry) bool) error {
	published, err := pub.publishedFor(ctx, s, owner)
	if err != nil {
		return err
	}
	published = slices.DeleteFunc(published, func(p PublishedEntry) bool { return keep != nil && keep(&p) })
	var errs []error
	for i := range published {
		errs = append(errs, pub.removeRecord(ctx, s, &published[i]))
	}
	return errors.Join(errs...)
}

// removeRecord removes one record, unless another owner in the journal needs the same one.
func (pub *Publisher) removeRecord(ctx context.Context, s logical.Storage, p *PublishedEntry) error {
	hash := path.Base(p.key())
	unlock, err := pub.recordLocks.Lock(ctx, hash) // of two owners that leave at once, the second one removes it
	if err != nil {
		return err
	}
	defer unlock()
	journal, err := pub.journal(ctx, s)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(journal, func(key string) bool { return key != p.key() && path.Base(key) == hash }) {
		v, err := pub.readySolver(ctx, s, p.Solver)
		if err == nil {
			err = v.Remove(ctx, p.record())
		}
		if err != nil {
			p.LastError, p.RetryAt = sanitize.Error(err), pub.Now().Add(host.PassDelay(p.Tries))
			p.Tries++
			return errors.Join(err, store.Put(context.WithoutCancel(ctx), s, p.key(), p))
		}
		pub.Log.Debug("removed a TXT record", "name", p.Name, "zone", p.Zone, "solver", p.Solver, "owner", p.Owner)
	}
	return store.Delete(context.WithoutCancel(ctx), s, p.key())
}

// journal returns the keys of all records that are published.
func (pub *Publisher) journal(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.Collect(ctx, s, recordPrefix)
}

// recordsOf returns what a solver has published and not removed yet.
func (pub *Publisher) recordsOf(ctx context.Context, s logical.Storage, solver string) ([]PublishedEntry, error) {
	keys, err := pub.journal(ctx, s)
	if err != nil {
		return nil, err
	}
	var out []PublishedEntry
	for _, key := range keys {
		p, err := store.Get[PublishedEntry](ctx, s, key)
		if err != nil {
			return nil, err
		}
		if p != nil && p.Solver == solver {
			out = append(out, *p)
		}
	}
	return out, nil
}

// reconcileTime bounds the share of a pass that DNS hosts can have.
const reconcileTime = 15 * time.Second

// checkLife is how long a check of a solver lasts at the very most: a record of an older one is litter.
const checkLife = 10 * time.Minute

// Needs says whether an owner still needs what is published for it: order/<role>/<id>, or the owner of another kind. known is false for a kind that this
// version does not know.
type Needs func(ctx context.Context, kind, name string) (needed, known bool, err error)

// ReconcileRecords takes away records that nobody needs any more: of orders that are validated or over, and what a crash has left.
// What cannot be removed now stays in the journal, and is no fault of the pass.
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
			pub.Log.Warn("a TXT record that nobody needs any more could not be removed; it is tried again", "owner", owner, "error", err)
		}
	}
	return nil
}

// reconcileOwner takes away an owner's records unless it still needs them. Should it begin to want them meanwhile, it publishes them again.
func (pub *Publisher) reconcileOwner(ctx context.Context, s logical.Storage, owner string, needs Needs) error {
	kind, name, _ := strings.Cut(owner, "/")
	if kind == checkKind {
		return pub.Withdraw(ctx, s, owner, func(p *PublishedEntry) bool { return pub.Now().Before(p.At.Add(checkLife)) || pub.untimely(p) })
	}
	needed, known, err := needs(ctx, kind, name)
	switch {
	case err != nil:
		return err
	case !known:
		pub.Log.Error("the journal of published records holds an owner that this version does not know", "owner", owner)
		return nil
	case needed:
		return nil
	}
	return pub.Withdraw(ctx, s, owner, pub.untimely)
}

// untimely reports whether it is too early to try again to remove a record.
func (pub *Publisher) untimely(p *PublishedEntry) bool { return pub.Now().Before(p.RetryAt) }
