// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/hashicorp/vault/sdk/logical"
)

// eraseKept erases the private key that is kept of a certificate for later requests, since the
// certificate is about to be revoked (ADR 0041). Should that fail, no request is answered with it
// all the same, and it is tried again when the revocation is recorded, see [eraseRevoked].
func eraseKept(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry) {
	if err := eraseRevoked(ctx, keeper, s, c); err != nil {
		keeper.Log.Warn("the key of a certificate that is revoked could not be erased yet",
			"serial", c.View().Serial, "error", err)
	}
}

// eraseRevoked is [eraseKept] for a certificate that is revoked. Whoever records that has to do it
// again when it fails: nothing looks at the key after that. One whose entry cannot be read is no
// use to anybody, and goes at its end.
func eraseRevoked(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry) error {
	if c.ReusedFor == "" {
		return nil
	}
	err := reuse.Erase(ctx, s, &keeper.Kept, c.Role, c.ReusedFor, c.Serial)
	if err != nil && !store.IsFault(err) {
		keeper.Log.Warn("what is kept of a certificate that is revoked cannot be read",
			"serial", c.View().Serial, "error", err)
		return nil
	}
	return err
}
