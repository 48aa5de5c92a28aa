// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"reflect"
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Session is a client together with the config that it was made from, and a cache of the catalog.
type Session struct {
	Client  *certinext.Client
	Config  *Config
	catalog *catalog
}

// A connection keeps the latest client. The zero value has none and is ready for use.
type connection struct {
	mu     sync.Mutex
	config Config            // what client was made from: see connectionConfig
	client *certinext.Client // nil when there is none
}

// connect returns a client for the account of c. As long as the connection's part of the config
// stays the same, so does the client, and with it the token. Where a new token invalidates earlier
// ones, a write of config (which makes a verifying call) and the calls under way would otherwise
// invalidate each other's tokens until one of them gives up.
func (acct *Account) connect(c *Config) (*certinext.Client, error) {
	acct.connection.mu.Lock()
	defer acct.connection.mu.Unlock()
	same := reflect.DeepEqual(acct.connection.config, c.connectionConfig())
	if acct.connection.client != nil && same {
		return acct.connection.client, nil
	}
	client, err := c.newClient(acct.httpClient, acct.Now, acct.rand)
	if err != nil {
		return nil, err
	}
	client.BeforeChange = func(string) error { return acct.MayChange() }
	client.Begin = acct.begin
	acct.connection.close()
	acct.connection.config, acct.connection.client = c.connectionConfig(), client
	return client, nil
}

// disconnect drops the client, and its token with it.
func (acct *Account) disconnect() {
	acct.connection.mu.Lock()
	defer acct.connection.mu.Unlock()
	acct.connection.close()
	acct.connection.config, acct.connection.client = Config{}, nil
}

// close closes the connections of the latest client that are idle; those that calls under way use
// close a while after. The caller holds mu.
func (c *connection) close() {
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
}

// Close closes the connections to CERTInext that are idle. A call that is made later opens new
// ones.
func (acct *Account) Close() {
	acct.connection.mu.Lock()
	defer acct.connection.mu.Unlock()
	acct.connection.close()
}

// forgetConnection drops the session, so that the next call reads the config again, and resets the
// breakers.
func (acct *Account) forgetConnection() {
	acct.accounts.Forget(ConfigKey)
	acct.clockHung.Store(nil)
	acct.Breaker.reset()
	acct.Revoking.reset()
}

// Client returns the CERTInext client of the mount's account, and the config that it was made from.
// Its errors are those of [Account.Session].
func (acct *Account) Client(
	ctx context.Context, s logical.Storage,
) (*certinext.Client, *Config, error) {
	a, err := acct.Session(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	return a.Client, a.Config, nil
}

// Session returns the session of the mount's config, and makes it when there is none yet. Without a
// config, the error is [fault.ErrNotConfigured], and on a node that may not write,
// [logical.ErrReadOnly]: see [Account.MayWrite].
func (acct *Account) Session(ctx context.Context, s logical.Storage) (*Session, error) {
	if err := acct.MayWrite(ctx, s); err != nil {
		return nil, err
	}
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

// IsAbout reports whether an answer may be about the CERTInext order with the given number: it
// names that number or, in version 1 of the API, none (ADR 0021).
func IsAbout(remote *certinext.Order, number string, version certinext.APIVersion) bool {
	return remote.ID == number || (remote.ID == "" && version == certinext.V1)
}

// Invalidate drops the session when key is the config's: Vault calls it on a node when another node
// has changed an entry.
func (acct *Account) Invalidate(key string) {
	if key == ConfigKey {
		acct.forgetConnection()
	}
}
