// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

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

// rememberedName returns the name that the account which c holds has had; empty when it has none,
// or is named like that by itself.
func rememberedName(ctx context.Context, s logical.Storage, c *Config) (string, error) {
	key := c.nameKey()
	if key == "" {
		return "", nil
	}
	known, err := store.Get[storedName](ctx, s, key)
	if err != nil || known == nil || known.Name == CanonicalAccount(c.SpelledAccount()) {
		return "", err
	}
	return known.Name, nil
}
