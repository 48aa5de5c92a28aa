// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"context"
	"strings"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// replacedPrefix is followed by a role, a hash of what certificates are for and of whose they are,
// and the serial number, with dashes, of one that is to be replaced before its time: by it, the
// next request for the same names finds what it replaces.
const replacedPrefix = "replacing/"

// A Replaced is the entry of a certificate that is to be replaced. It says all by its key.
type Replaced struct {
	Version int `json:"version"`
}

func replacedKey(role, names, serial string) string {
	return replacedPrefix + role + "/" + names + "/" + serial
}

// A Replacing keeps what is to be replaced before its time, and remembers while nothing is, so that
// a purchase reads storage for it in a mount that replaces something only. The zero value is ready.
// Its methods may be called concurrently.
type Replacing struct {
	mu sync.Mutex
	// isNone is set while storage has nothing to be replaced. changes counts what may have ended
	// that, since storage is listed without the lock.
	isNone  bool
	changes int
}

// doubt has storage be listed again.
func (r *Replacing) doubt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isNone = false
	r.changes++
}

// Invalidate tells of an entry that another node has changed.
func (r *Replacing) Invalidate(key string) {
	if strings.HasPrefix(key, replacedPrefix) {
		r.doubt()
	}
}

// Remember stores that a certificate is to be replaced.
func (r *Replacing) Remember(
	ctx context.Context, s logical.Storage, role, names, serial string,
) error {
	defer r.doubt() // whoever has listed storage before it was stored has not seen it
	return store.Put(context.WithoutCancel(ctx), s, replacedKey(role, names, serial),
		&Replaced{Version: 1})
}

// Forget removes what Remember has stored, if there is anything.
func (r *Replacing) Forget(
	ctx context.Context, s logical.Storage, role, names, serial string,
) error {
	return store.Delete(context.WithoutCancel(ctx), s, replacedKey(role, names, serial))
}

// Of returns the serial numbers, with dashes, of what is to be replaced for certain names. It lists
// storage once, and no more while that has nothing to be replaced for any.
func (r *Replacing) Of(
	ctx context.Context, s logical.Storage, role, names string,
) ([]string, error) {
	r.mu.Lock()
	isNone, changes := r.isNone, r.changes
	r.mu.Unlock()
	if isNone {
		return nil, nil
	}
	all, err := store.List(ctx, s, replacedPrefix)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		return store.List(ctx, s, replacedPrefix+role+"/"+names+"/")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isNone = r.changes == changes
	return nil, nil
}
