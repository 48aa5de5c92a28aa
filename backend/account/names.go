// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// The name of an account outlives the config that held it: a config may be deleted, or written for
// another account, before one comes that holds the account again, by another client id.

// namePrefix is the storage prefix of the names, each followed by a hash of the account's address
// and number.
const namePrefix = "account/"

// storedName is the entry of a name.
type storedName struct {
	Version int    `json:"version"`
	Address string `json:"address"`
	Number  string `json:"number"`
	Name    string `json:"name"` // as [Config.Account] returns it
}

// nameKey returns the storage key of the name of the account that c holds; empty while CERTInext
// has not told its number.
func (c *Config) nameKey() string {
	if c.Number == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(c.address() + "|" + c.Number))
	return namePrefix + hex.EncodeToString(sum[:])
}

// rememberName stores the name of the account that c holds, unless it has one.
func rememberName(ctx context.Context, s logical.Storage, c *Config) error {
	key := c.nameKey()
	if key == "" {
		return nil
	}
	known, err := store.Get[storedName](ctx, s, key)
	if err != nil || known != nil {
		return err
	}
	return store.Put(ctx, s, key, &storedName{
		Version: 1, Address: c.address(), Number: c.Number, Name: c.Account(),
	})
}

// nameOf returns the name of the account that c, which replaces was, holds: the one that it had
// first, else the one that it has with was. It is empty when c is named like that by itself. No two
// accounts have one name: what is stored for the one would be sent to the other.
func nameOf(ctx context.Context, s logical.Storage, c, was *Config) (string, error) {
	key := c.nameKey()
	if key == "" {
		return c.nameAfter(was), nil
	}
	own := CanonicalAccount(c.SpelledAccount())
	known, err := store.Get[storedName](ctx, s, key)
	switch {
	case err != nil:
		return "", err
	case known != nil && known.Name == own:
		return "", nil
	case known != nil:
		return known.Name, nil
	}
	name := cmp.Or(c.nameAfter(was), own)
	others, err := namesOfOthers(ctx, s, c)
	if err != nil {
		return "", err
	}
	if was.BaseURL != "" && was.Number != "" && !was.holdsAccountOf(c) {
		others = append(others, was.Account())
	}
	for n := 1; slices.Contains(others, name); n++ {
		name = c.address() + "|" + c.Number + strings.Repeat("'", n-1)
	}
	if name == own {
		return "", nil
	}
	return name, nil
}

// namesOfOthers are the names of the other accounts that the mount has held.
func namesOfOthers(ctx context.Context, s logical.Storage, c *Config) ([]string, error) {
	keys, err := s.List(ctx, namePrefix)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, key := range keys {
		other, err := store.Get[storedName](ctx, s, namePrefix+key)
		if err != nil {
			return nil, err
		}
		if other != nil && namePrefix+key != c.nameKey() {
			names = append(names, other.Name)
		}
	}
	return names, nil
}
