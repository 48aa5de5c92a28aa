// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package store reads and writes entries of Vault's storage as JSON. Its errors name the key, never
// the value.
package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// A Fault is a failure of storage itself: it may be away, or the request be over. The same
// operation may succeed later.
type Fault struct {
	Doing string // such as reading
	Key   string // of the entry, or the prefix of a list
	Err   error  // of storage
}

func (e *Fault) Error() string { return fmt.Sprintf("%s %s: %v", e.Doing, e.Key, e.Err) }

func (e *Fault) Unwrap() error { return e.Err }

// IsFault reports whether err is a [*Fault], or wraps one.
func IsFault(err error) bool {
	var fault *Fault
	return errors.As(err, &fault)
}

// IsReadOnly reports whether storage has refused a write because this node may not write it.
// Between Vault and a plugin, nothing but the error's text is passed on.
func IsReadOnly(err error) bool {
	var fault *Fault
	return errors.Is(err, logical.ErrReadOnly) || (errors.As(err, &fault) &&
		strings.Contains(fault.Err.Error(), logical.ErrReadOnly.Error()))
}

// Get decodes an entry into a new T. It returns nil and no error when there is no entry.
func Get[T any](ctx context.Context, s logical.Storage, key string) (*T, error) {
	e, err := read(ctx, s, key)
	if err != nil {
		return nil, err
	}
	return Decode[T](e, key)
}

// read returns the entry under key, or nil when there is none.
func read(ctx context.Context, s logical.Storage, key string) (*logical.StorageEntry, error) {
	if strings.Contains(key, "..") {
		return nil, nil // Vault's storage takes no such key, so nothing is stored under it
	}
	e, err := s.Get(ctx, key)
	if err != nil {
		return nil, &Fault{Doing: "reading", Key: key, Err: err}
	}
	return e, nil
}

// Known is the latest version of entries that this version of the plugin knows. A later one says so
// in its entries when they mean something that an earlier one must not pass over, such as another
// constraint of a role.
const Known = 1

// A FutureError is the error for an entry that a later version of the plugin has written. It is
// neither read as one of today's nor written anew, which would lose what it says.
type FutureError struct {
	Key     string
	Version int
}

func (e *FutureError) Error() string {
	return fmt.Sprintf("the entry %s is of version %d, and this version of the plugin knows "+
		"version %d: a later one has written it, and can read it. Go back to that one",
		e.Key, e.Version, Known)
}

// Decode decodes the entry under key into a new T; nil when there is no entry. The error is a
// [*FutureError] when it is of a later version.
func Decode[T any](e *logical.StorageEntry, key string) (*T, error) {
	if e == nil {
		return nil, nil
	}
	var header struct {
		Version int `json:"version"`
	}
	v := new(T)
	err := e.DecodeJSON(&header)
	if err == nil && header.Version > Known {
		return nil, &FutureError{Key: key, Version: header.Version}
	}
	if err = e.DecodeJSON(v); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", key, err)
	}
	return v, nil
}

// RefuseFuture returns a [*FutureError] when the entry under key is of a later version. Who deletes
// an entry asks first: what a later version has written, only that one knows the use of. An entry
// that cannot be read for any other reason may go.
func RefuseFuture(ctx context.Context, s logical.Storage, key string) error {
	e, err := s.Get(ctx, key)
	if err != nil {
		return &Fault{Doing: "reading", Key: key, Err: err}
	}
	var future *FutureError
	if _, err := Decode[struct{}](e, key); errors.As(err, &future) {
		return future
	}
	return nil
}

// Put writes v as an entry.
func Put(ctx context.Context, s logical.Storage, key string, v any) error {
	e, err := logical.StorageEntryJSON(key, v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	if err := s.Put(ctx, e); err != nil {
		return &Fault{Doing: "storing", Key: key, Err: err}
	}
	return nil
}

// Delete removes an entry. It is no error that there is none.
func Delete(ctx context.Context, s logical.Storage, key string) error {
	if err := s.Delete(ctx, key); err != nil {
		return &Fault{Doing: "deleting", Key: key, Err: err}
	}
	return nil
}

// List returns the names directly below a prefix, without it. Those of folders end in a slash.
func List(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	keys, err := s.List(ctx, prefix)
	if err != nil {
		return nil, &Fault{Doing: "listing", Key: prefix, Err: err}
	}
	return keys, nil
}

// Collect returns the full keys of all entries below a prefix, at any depth.
func Collect(ctx context.Context, s logical.Storage, prefix string) ([]string, error) {
	names, err := List(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, name := range names {
		if !strings.HasSuffix(name, "/") {
			keys = append(keys, prefix+name)
			continue
		}
		below, err := Collect(ctx, s, prefix+name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, below...)
	}
	return keys, nil
}
