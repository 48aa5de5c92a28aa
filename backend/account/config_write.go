// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Config returns the mount's configuration, or nil when there is none.
func (acct *Account) Config(ctx context.Context, s logical.Storage) (*Config, error) {
	stored, err := store.Get[storedConfig](ctx, s, ConfigKey)
	return stored.config(), err
}

// mustConfig is Config, except that a missing one is the error [fault.ErrNotConfigured].
func (acct *Account) mustConfig(ctx context.Context, s logical.Storage) (*Config, error) {
	c, err := acct.Config(ctx, s)
	if err == nil && c == nil {
		return nil, fault.ErrNotConfigured
	}
	return c, err
}

// WriteConfig applies change to the stored configuration (an empty one when there is none),
// validates the outcome and stores it. With verify, it first asks CERTInext whether it accepts the
// credentials; when it does not, its answer is in the error and nothing is stored. No lock is held
// meanwhile, so when another request writes the config in that time, change is applied again to
// what that stored. A write cannot lift a pause of ordering that was written after it began: that
// is an error about the field ordering. admit is called before after is stored in place of before,
// which is nil when there is none, and may refuse it; it asks nobody but storage.
func (acct *Account) WriteConfig(
	ctx context.Context, s logical.Storage, change func(*Config) error, verify bool,
	admit func(before, after *Config) error,
) error {
	if err := acct.MayWrite(ctx, s); err != nil {
		return err // before CERTInext is asked about the account
	}
	pauses := acct.pauses.Load()
	var replaced *Config
	return store.Update[storedConfig]{
		Locks: &acct.configWrites,
		Make: func(before *storedConfig) (*storedConfig, error) {
			was := cmp.Or(before.config(), new(Config))
			givesConsent := false
			c, err := changedConfig(was, func(c *Config) error {
				err := change(c)
				givesConsent = c.ConsentToken != notGiven
				return err
			})
			if err == nil {
				replaced, err = acct.identify(ctx, s, was, c, verify)
			}
			if err != nil {
				return nil, err
			}
			isMoved := was.BaseURL != "" && !SameAccount(was.Account(), c.Account())
			if isMoved && c.ConsentToken != "" && !givesConsent {
				return nil, fault.BadField("consent_token", "must be given again for another "+
					"account, or be empty: it belongs to %s", Describe(was.Account()))
			}
			return newStoredConfig(c), nil
		},
		Admit: func(before, after *storedConfig) error {
			if err := admit(before.config(), after.config()); err != nil {
				return err
			}
			if err := acct.admitPause(before.config(), after.config(), pauses); err != nil {
				return err
			}
			return errors.Join( // before the config that depends on it
				rememberName(ctx, s, replaced), rememberName(ctx, s, after.config()))
		},
		Stored: acct.forgetConnection,
	}.Apply(ctx, s, ConfigKey)
}

// changedConfig returns a validated copy of before, which is empty when there is none, with change
// applied. Secrets that change does not set are kept where keepSecrets allows it.
func changedConfig(before *Config, change func(*Config) error) (*Config, error) {
	c := *before
	c.ClientSecret = notGiven
	c.AccessKey = notGiven
	c.ConsentToken = notGiven
	if err := change(&c); err != nil {
		return nil, err
	}
	if err := c.keepSecrets(before); err != nil {
		return nil, err
	}
	return &c, c.validate(before)
}

// verifyConfig asks CERTInext whether it accepts the credentials of c, and returns the number of
// the account that it takes them for.
func (acct *Account) verifyConfig(ctx context.Context, c *Config) (number string, err error) {
	client, err := acct.connect(c)
	if err != nil {
		return "", err
	}
	ctx, cancel := WhileAsked(ctx)
	defer cancel()
	me, err := client.Me(ctx)
	if err != nil {
		return "", &fault.RefusedError{
			Err: fmt.Errorf("the account could not be verified, so the config is not stored "+
				"(verify_connection=false stores it unverified): %w", err),
		}
	}
	return me.Number, nil
}

// admitPause refuses a write of config that would lift a pause of ordering which began while the
// write was under way: the operator who wrote the pause was told that ordering is paused. pauses is
// the count of writes that had paused ordering when this one began.
func (acct *Account) admitPause(before, after *Config, pauses int64) error {
	switch {
	case after.IsPaused():
		acct.pauses.Add(1)
	case before.IsPaused() && acct.pauses.Load() != pauses:
		return fault.BadField("ordering", "was paused while this write was under way, "+
			"so nothing is stored: write it again to lift the pause")
	}
	return nil
}

// notGiven stands for a secret that a change of the config does not set.
const notGiven Secret = "\x00"

// keepSecrets fills in the stored secrets that were not given again. A secret is never sent to an
// address, or together with a name, for which it was not given: otherwise a client that may write
// the config could read a secret by having it sent to a server of its choice.
func (c *Config) keepSecrets(before *Config) error {
	moved := before.BaseURL != "" && before.BaseURL != c.BaseURL
	for _, secret := range []struct {
		field       string
		now         *Secret
		stored      Secret
		name, named string // the name that the secret belongs to, now and before
	}{
		{"client_secret", &c.ClientSecret, before.ClientSecret, c.ClientID, before.ClientID},
		{"access_key", &c.AccessKey, before.AccessKey, c.AccountNumber, before.AccountNumber},
		{
			"consent_token", &c.ConsentToken, before.ConsentToken,
			c.OrganizationNumber, before.OrganizationNumber,
		},
	} {
		switch {
		case *secret.now != notGiven:
		case secret.stored == "", secret.name != secret.named:
			*secret.now = ""
		case moved:
			return fault.BadField(secret.field, "must be given again when base_url changes")
		default:
			*secret.now = secret.stored
		}
	}
	return nil
}

// DeleteConfig deletes the configuration. Orders and certificates stay. admit is called with what
// is deleted, and may refuse it; it asks nobody but storage.
func (acct *Account) DeleteConfig(
	ctx context.Context, s logical.Storage, admit func(before *Config) error,
) error {
	asked, err := acct.Config(ctx, s)
	if err != nil {
		return err
	}
	if asked != nil && asked.Number == "" {
		asked.Number = acct.askNumber(ctx, asked)
	}
	err = store.DeleteLocked(ctx, s, &acct.configWrites, ConfigKey, func() error {
		before, err := acct.Config(ctx, s)
		if err != nil || before == nil {
			return err
		}
		if before.Number == "" && asked != nil && before.Account() == asked.Account() {
			before.Number = asked.Number
		}
		if err := admit(before); err != nil {
			return err
		}
		return rememberName(ctx, s, before)
	})
	var refused *fault.FieldError
	if !errors.As(err, &refused) { // a write that failed may have taken effect
		acct.forgetConnection()
		acct.disconnect()
	}
	return err
}
