// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Session is a client together with the config it was made from, and what it was told of the catalog.
type Session struct {
	Client  *certinext.Client
	Config  *Config
	catalog *catalog
}

// A connection is the last client that was made, and what it was made of. The zero value is ready for use.
type connection struct {
	mu     sync.Mutex
	of     Config
	client *certinext.Client // nil when there is none
}

// connect returns a client for the account of c. A config that says the same of the account as the one
// before has the same client, and so the same token: where a new token ends the ones before, a write of
// config, which asks CERTInext, and the calls under way would otherwise end each other's until one of
// them gives up.
func (acct *Account) connect(c *Config) (*certinext.Client, error) {
	acct.connection.mu.Lock()
	defer acct.connection.mu.Unlock()
	if acct.connection.client != nil && acct.connection.of == c.connects() {
		return acct.connection.client, nil
	}
	client, err := c.newClient(acct.httpClient, acct.Now, acct.rand)
	if err != nil {
		return nil, err
	}
	acct.connection.of, acct.connection.client = c.connects(), client
	return client, nil
}

// disconnect forgets the client, with its token.
func (acct *Account) disconnect() {
	acct.connection.mu.Lock()
	defer acct.connection.mu.Unlock()
	acct.connection.of, acct.connection.client = Config{}, nil
}

// ForgetConnection has the next call read the config again.
func (acct *Account) ForgetConnection() {
	acct.accounts.Forget(ConfigKey)
	acct.Breaker.Reset()
}

// Client returns the CERTInext client of the mount's account, and the config it was made from.
func (acct *Account) Client(ctx context.Context, s logical.Storage) (*certinext.Client, *Config, error) {
	a, err := acct.Session(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return a.Client, a.Config, nil
}

// Session returns the client of the mount's config, which it reads when there is none yet.
func (acct *Account) Session(ctx context.Context, s logical.Storage) (*Session, error) {
	return acct.accounts.Get(ctx, ConfigKey, func() (*Session, error) {
		cfg, err := acct.mustConfig(ctx, s)
		if err != nil {
			return nil, err
		}
		client, err := acct.connect(cfg)
		if err != nil {
			return nil, err
		}
		return &Session{Client: client, Config: cfg, catalog: acct.newCatalog()}, nil
	})
}

// IsAbout reports whether an answer is about CERTInext's order of a number. In version 1, one that names none may be.
func IsAbout(remote *certinext.Order, number string, version certinext.APIVersion) bool {
	return remote.ID == number || remote.ID == "" && version == certinext.V1
}

// Invalidate has the config read again, when its entry has changed in storage elsewhere.
func (acct *Account) Invalidate(key string) {
	if key == ConfigKey {
		acct.ForgetConnection()
	}
}
