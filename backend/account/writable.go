// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// Active reports whether Vault lets this node write the mount's storage: standbys and secondaries
// may not. Only such a node runs the background pass.
func (acct *Account) Active() bool {
	if acct.System == nil {
		return true
	}
	sys := acct.System()
	if sys.ReplicationState().HasState(
		consts.ReplicationPerformanceStandby | consts.ReplicationDRSecondary,
	) {
		return false
	}
	return sys.LocalMount() ||
		!sys.ReplicationState().HasState(consts.ReplicationPerformanceSecondary)
}

// probeKey is a key under which nothing is ever stored. Deleting it is the cheapest write.
const probeKey = "config/probe"

// MayWrite returns [logical.ErrReadOnly], by which Vault and OpenBao forward a request to the
// active node, unless this node may write the mount's storage. What CERTInext has done and storage
// cannot take is lost, so a node that may not write asks CERTInext nothing (ADR 0031).
//
// The server's own word for it is not enough: Vault and OpenBao forward paths by it, but not the
// end of a lease. So the first call of a process tries storage, too. A request that writes nothing
// does not: it asks by [Account.MayAsk] (ADR 0038).
func (acct *Account) MayWrite(ctx context.Context, s logical.Storage) error {
	if !acct.Active() {
		return logical.ErrReadOnly
	}
	if acct.wrote.Load() || store.IsReading(s) {
		return nil
	}
	err := store.Delete(ctx, s, probeKey)
	switch {
	case store.IsReadOnly(err):
		return logical.ErrReadOnly
	case err == nil:
		acct.wrote.Store(true)
	}
	return err
}

// errUnproven is why a request that writes nothing asks CERTInext nothing.
var errUnproven = errors.New("this node asks CERTInext nothing before it has written its " +
	"storage, which it does within a minute of its start: ask again then")

// MayAsk returns an error when a request that writes nothing must not ask CERTInext: it is not
// known yet whether this node may write, and it does not try.
func (acct *Account) MayAsk(s logical.Storage) error {
	if store.IsReading(s) && !acct.wrote.Load() {
		return errUnproven
	}
	return nil
}
