// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Storage prefixes: which certificate is the newest of a role's, below the role and a hash of
// requester and names, and the roles for which the practice was stopped.
const (
	newestPrefix  = "renewal/newest/"
	stoppedPrefix = "renewal/stopped/"
)

// A newest is the stored form of which certificate is the newest for a requester's names.
type newest struct {
	Version int    `json:"version"`
	Serial  string `json:"serial"` // with dashes
}

// StoreNewest stores that a certificate, by its serial number with dashes, is the newest for what
// names stands for, which is a hash. It is called before the certificate is stored: an entry whose
// certificate is not there means nothing.
func StoreNewest(ctx context.Context, s logical.Storage, role, names, serial string) error {
	return store.Put(context.WithoutCancel(ctx), s, NewestKey(role, names),
		newest{Version: 1, Serial: serial})
}

// Newest returns the serial number, with dashes, of the newest certificate; empty when none is
// known.
func Newest(ctx context.Context, s logical.Storage, role, names string) (string, error) {
	e, err := store.Get[newest](ctx, s, NewestKey(role, names))
	if err != nil || e == nil {
		return "", err
	}
	return e.Serial, nil
}

// NewestKey is the storage key of which certificate is the newest for what names stands for. Who
// stores or forgets that holds a lock of this name.
func NewestKey(role, names string) string { return newestPrefix + role + "/" + names }

// ForgetNewest forgets that a certificate, by its serial number with dashes, is the newest. What
// was stored of another one stays.
func ForgetNewest(ctx context.Context, s logical.Storage, role, names, serial string) error {
	known, err := Newest(ctx, s, role, names)
	if err != nil || known != serial {
		return err
	}
	return store.Delete(context.WithoutCancel(ctx), s, NewestKey(role, names))
}

// A Stop is why a role's certificates are renewed by new orders although the role reissues:
// CERTInext has charged for a reissue.
type Stop struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	OrderID string    `json:"order_id"` // of the reissue
	Amount  string    `json:"amount,omitempty"`
	// AllowedAt is when an operator has allowed reissues again; zero while the stop holds. What was
	// charged for reissues from before then is known, and stops the role no more.
	AllowedAt time.Time `json:"allowed_at,omitzero"`
}

// Holds reports whether the role reissues no more. A nil Stop does not hold.
func (s *Stop) Holds() bool { return s != nil && s.AllowedAt.IsZero() }

// Forgives reports whether an operator has allowed reissues again since a reissue was asked for, so
// that a charge for it stops nothing.
func (s *Stop) Forgives(asked time.Time) bool {
	return s != nil && !asked.After(s.AllowedAt)
}

// StopRole stores that a role reissues no more until an operator allows it.
func StopRole(ctx context.Context, s logical.Storage, role string, why Stop) error {
	why.Version = 1
	return store.Put(context.WithoutCancel(ctx), s, stoppedPrefix+role, why)
}

// Stopped returns why a role was stopped the last time, which may hold no more; nil when it never
// was.
func Stopped(ctx context.Context, s logical.Storage, role string) (*Stop, error) {
	return store.Get[Stop](ctx, s, stoppedPrefix+role)
}

// AllowRole has a role reissue again.
func AllowRole(ctx context.Context, s logical.Storage, role string, now time.Time) error {
	why, err := Stopped(ctx, s, role)
	if err != nil || !why.Holds() {
		return err
	}
	why.AllowedAt = now
	return store.Put(context.WithoutCancel(ctx), s, stoppedPrefix+role, why)
}
