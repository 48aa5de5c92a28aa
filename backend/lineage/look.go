// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package lineage

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/trust"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of what CERTInext chooses: how many different chains its certificates have.
const (
	// maxRead is how many chains one call reads. The next one goes on.
	maxRead = 100
	// maxKnown is how many chains are kept.
	maxKnown = 5000
	// judgedFor is how long a verdict holds: CAs expire.
	judgedFor = time.Hour
)

// An above is what is above all certificates with one chain.
type above struct {
	cas     *trust.CAs // nil when a certificate with the chain cannot be parsed
	verdict trust.Verdict
	judge   *trust.Judge // whose the verdict is
	at      time.Time    // when it was judged
}

// isCurrent reports whether a verdict is what a judge would say at a time.
func (a *above) isCurrent(judge *trust.Judge, now time.Time) bool {
	age := now.Sub(a.at)
	return a.judge == judge && age >= 0 && age < judgedFor
}

// Look returns what is above the certificates that the index lists now. It reads storage for chains
// that were not looked at yet, and again after what clients trust has changed, or an hour has
// passed. The view is usable beside an error, too, and is not whole then.
func Look(ctx context.Context, k *Keeper, s logical.Storage) (*View, error) {
	judge, err := k.trust.Judge(ctx, s)
	if err != nil {
		return &View{}, err
	}
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return &View{}, ctx.Err()
	}
	listed, now := k.certs.Index.Chains(), k.now()
	missing := k.keep(judge, listed, now)
	for _, chain := range missing[:min(len(missing), maxRead)] {
		a, err := k.read(ctx, s, judge, listed[chain], now)
		if err != nil {
			return k.view(listed, now), err
		}
		k.enter(chain, a)
	}
	return k.view(listed, now), nil
}

// Await has the index filled, and waits for that for a second at most.
func Await(ctx context.Context, k *Keeper, s logical.Storage) { k.certs.Index.Await(ctx, s) }

// keep forgets the chains that no certificate has any more, and returns those that are to be read:
// what is not known first, then what was judged longest ago, so that each has its turn.
func (k *Keeper) keep(
	judge *trust.Judge, listed map[string]string, now time.Time,
) (missing []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.judge != judge {
		k.judge, k.leaves = judge, leavesOf(judge)
	}
	maps.DeleteFunc(k.known, func(chain string, _ *above) bool { return listed[chain] == "" })
	for chain := range listed {
		if a := k.known[chain]; a == nil || !a.isCurrent(judge, now) {
			missing = append(missing, chain)
		}
	}
	at := func(chain string) (judged time.Time) {
		if a := k.known[chain]; a != nil && a.judge == judge {
			judged = a.at
		}
		return judged
	}
	slices.SortFunc(missing, func(a, b string) int {
		return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a, b))
	})
	return missing
}

// leavesOf returns the keys that clients refuse, as certificates are listed by them.
func leavesOf(judge *trust.Judge) map[index.KeyID]trust.Link {
	out := make(map[index.KeyID]trust.Link)
	for _, key := range judge.Refused() {
		var id index.KeyID
		if raw, err := hex.DecodeString(string(key)); err == nil && copy(id[:], raw) == len(id) {
			out[id] = trust.Link{Name: "the certificate itself", Key: key}
		}
	}
	return out
}

// read looks at one certificate, by its serial number with dashes; nil when it is gone.
func (k *Keeper) read(
	ctx context.Context, s logical.Storage, judge *trust.Judge, serial string, now time.Time,
) (*above, error) {
	c, err := certificates.Read(ctx, s, serial)
	if err == nil && c != nil {
		err = k.certs.Chains.Load(ctx, s, c)
	}
	switch {
	case store.IsFault(err), ctx.Err() != nil:
		return nil, errors.Join(err, ctx.Err())
	case err != nil:
		return &above{judge: judge, at: now}, nil //nolint:nilerr // the index has told
	case c == nil:
		return nil, nil
	}
	certs, err := certificates.Parse(slices.Concat([]string{c.Certificate}, c.Chain, c.Others))
	if err != nil || len(certs) == 0 {
		return &above{judge: judge, at: now}, nil //nolint:nilerr // it is listed as it came
	}
	return newAbove(judge, certs[0], certs[1:], now), nil
}

// newAbove says what is above a certificate that came with others.
func newAbove(
	judge *trust.Judge, leaf *x509.Certificate, pool []*x509.Certificate, now time.Time,
) *above {
	return &above{
		cas: trust.Above(leaf, pool), verdict: judge.JudgeAbove(leaf, pool, now),
		judge: judge, at: now,
	}
}

func (k *Keeper) enter(chain string, a *above) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a != nil && (k.known[chain] != nil || len(k.known) < maxKnown) {
		k.known[chain] = a
	}
}

// view returns what is known of the listed chains. One whose verdict is too old at now has that one
// still, but the view is not whole.
func (k *Keeper) view(listed map[string]string, now time.Time) *View {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := &View{
		Whole: true, Families: k.judge.Families(),
		known: maps.Clone(k.known), leaves: k.leaves,
	}
	for chain := range listed {
		a := v.known[chain]
		if a == nil || a.judge != k.judge {
			delete(v.known, chain)
		}
		v.Whole = v.Whole && a != nil && a.isCurrent(k.judge, now)
	}
	return v
}
