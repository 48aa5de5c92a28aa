// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"cmp"
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// What the mount stores names the account that it belongs to, and that name must not change with
// the credentials: the same account may be configured by another client id, or with another version
// of the API. So an account keeps the name that it had first, as long as CERTInext says that both
// credentials are for the same number, also when no config has held it for a while.

// number is the account's number: what CERTInext says or, as long as it has not, what the
// credential names. In CERTInext's own examples, the two are the same.
func (c *Config) number() string { return cmp.Or(c.Number, c.ClientID+c.AccountNumber) }

// address is the canonical address of the account.
func (c *Config) address() string {
	address, _, _ := strings.Cut(CanonicalAccount(c.SpelledAccount()), "|")
	return address
}

// holdsAccountOf reports whether two configs are certainly for the same account.
func (c *Config) holdsAccountOf(other *Config) bool {
	return c.BaseURL != "" && c.address() == other.address() && c.number() == other.number()
}

// nameAfter returns the name that c keeps when it replaces before, which is nil or empty when there
// was no config. It is empty when c is of another account, or named like that by itself.
func (c *Config) nameAfter(before *Config) string {
	switch {
	case before == nil || !before.holdsAccountOf(c),
		before.Account() == CanonicalAccount(c.SpelledAccount()):
		return ""
	}
	return before.Account()
}

// identify notes in c, which is to replace before, which account CERTInext takes its credentials
// for. With verify, it asks CERTInext, and the error says that it does not accept them. It returns
// before with the number that it is for, as far as that is known.
func (acct *Account) identify(
	ctx context.Context, s logical.Storage, before, c *Config, verify bool,
) (old *Config, err error) {
	sameID := c.ClientID+c.AccountNumber == before.ClientID+before.AccountNumber &&
		before.BaseURL != "" && before.address() == c.address()
	known := before.Number
	if known == "" && verify && before.BaseURL != "" && !sameID {
		known = acct.askNumber(ctx, before)
	}
	c.Number = ""
	if sameID {
		c.Number = known
	}
	if verify {
		number, err := acct.verifyConfig(ctx, c)
		if err != nil {
			return nil, err
		}
		c.Number = number
	}
	was := *before
	was.Number = known
	c.Name, err = nameOf(ctx, s, c, &was)
	return &was, err
}

// askNumber returns the number of the account that a config is about to lose; empty when CERTInext
// does not tell, since its credential may be revoked already.
func (acct *Account) askNumber(ctx context.Context, c *Config) string {
	client, err := acct.connect(c)
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, learnClockTimeout)
	defer cancel()
	me, err := client.Me(ctx)
	if err != nil {
		return ""
	}
	return me.Number
}
