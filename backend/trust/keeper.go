// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// What clients trust is stored apart from the config, and the roots of each family in an entry of
// their own: Vault's storage takes entries of a megabyte, and a root store has a quarter of that.
const (
	prefix       = "trust/"
	keysKey      = prefix + "keys"
	familyPrefix = prefix + "roots/" // followed by a family's name
)

// A storedKeys is the entry of the keys that an operator has named.
type storedKeys struct {
	Version int   `json:"version"`
	Keys    []Key `json:"keys"`
}

// A storedFamily is the entry of the roots of one family.
type storedFamily struct {
	Version int    `json:"version"`
	Roots   string `json:"roots"` // PEM, as it was written
}

// A Keeper keeps what clients trust, and its judge in memory. The zero value is ready for use.
type Keeper struct {
	mu     sync.Mutex
	judge  *Judge // nil until it is read
	change int    // counts what was forgotten
}

// Invalidate forgets what an entry of storage is about.
func (k *Keeper) Invalidate(key string) {
	if !strings.HasPrefix(key, prefix) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.judge = nil
	k.change++
}

// Load reads what clients trust, unless that is known.
func (k *Keeper) Load(ctx context.Context, s logical.Storage) error {
	_, err := k.Judge(ctx, s)
	return err
}

// Judge returns who knows what clients trust now.
func (k *Keeper) Judge(ctx context.Context, s logical.Storage) (*Judge, error) {
	k.mu.Lock()
	judge, change := k.judge, k.change
	k.mu.Unlock()
	if judge != nil {
		return judge, nil
	}
	judge, err := read(ctx, s)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.change == change { // otherwise it was written meanwhile
		k.judge = judge
	}
	return judge, nil
}

// read reads all that clients trust.
func read(ctx context.Context, s logical.Storage) (*Judge, error) {
	keys, err := Keys(ctx, s)
	if err != nil {
		return nil, err
	}
	names, err := Families(ctx, s)
	if err != nil {
		return nil, err
	}
	families := make(map[string]*Family, len(names))
	for _, name := range names {
		family, _, err := ReadFamily(ctx, s, name)
		if err != nil {
			return nil, err
		}
		if family != nil {
			families[name] = family
		}
	}
	return NewJudge(keys, families), nil
}

// Keys returns the keys that an operator has named, sorted.
func Keys(ctx context.Context, s logical.Storage) ([]Key, error) {
	stored, err := store.Get[storedKeys](ctx, s, keysKey)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.Keys, nil
}

// WriteKeys stores the keys that clients refuse beside those of [Builtin].
func (k *Keeper) WriteKeys(ctx context.Context, s logical.Storage, keys []Key) error {
	defer k.Invalidate(keysKey)
	return store.Put(ctx, s, keysKey, &storedKeys{Version: 1, Keys: keys})
}

// Families returns the names of the families whose roots are stored, sorted.
func Families(ctx context.Context, s logical.Storage) ([]string, error) {
	names, err := store.List(ctx, s, familyPrefix)
	slices.Sort(names)
	return names, err
}

// ReadFamily returns a family, and its roots in PEM as they were written; nil when there is none of
// that name.
func ReadFamily(ctx context.Context, s logical.Storage, name string) (*Family, string, error) {
	stored, err := store.Get[storedFamily](ctx, s, familyPrefix+name)
	if err != nil || stored == nil {
		return nil, "", err
	}
	family, err := ParseFamily("roots", name, stored.Roots)
	return family, stored.Roots, err
}

// WriteFamily stores a family's roots, in place of those that it had.
func (k *Keeper) WriteFamily(
	ctx context.Context, s logical.Storage, name, roots string,
) (*Family, error) {
	family, err := ParseFamily("roots", name, roots)
	if err != nil {
		return nil, err
	}
	names, err := Families(ctx, s)
	if err != nil {
		return nil, err
	}
	if len(names) >= maxFamilies && !slices.Contains(names, name) {
		return nil, fault.BadField("family", "there are %d families of clients already, and no "+
			"more are taken: delete one", len(names))
	}
	defer k.Invalidate(familyPrefix + name)
	return family, store.Put(ctx, s, familyPrefix+name, &storedFamily{Version: 1, Roots: roots})
}

// DeleteFamily forgets a family: nothing is said of its clients any more.
func (k *Keeper) DeleteFamily(ctx context.Context, s logical.Storage, name string) error {
	defer k.Invalidate(familyPrefix + name)
	return store.Delete(ctx, s, familyPrefix+name)
}

// Of says which clients accept a certificate that came with others, at a time. It parses nothing
// and looks at no signature where no key is refused and no family is known.
func (k *Keeper) Of(
	ctx context.Context, s logical.Storage, leaf *x509.Certificate, pool []*x509.Certificate,
	now time.Time,
) (Verdict, error) {
	judge, err := k.Judge(ctx, s)
	if err != nil {
		return Verdict{}, err
	}
	if !judge.hasDoubts(leaf, pool) {
		return Verdict{}, nil
	}
	return judge.Judge(leaf, pool, now), nil
}

// hasDoubts reports whether there is anything to be judged: families of clients, or a certificate
// whose key is refused.
func (j *Judge) hasDoubts(leaf *x509.Certificate, pool []*x509.Certificate) bool {
	return len(j.families) > 0 || j.refuses(KeyOf(leaf)) ||
		slices.ContainsFunc(pool, func(c *x509.Certificate) bool { return j.refuses(KeyOf(c)) })
}
