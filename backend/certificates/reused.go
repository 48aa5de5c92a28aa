// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/hashicorp/vault/sdk/logical"
)

// eraseKept erases the private key that is kept of a certificate for later requests, since the
// certificate is revoked, or is about to be (ADR 0041). Should that fail, no request is answered
// with it all the same, and it is erased at its end.
func eraseKept(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry) {
	if c.ReusedFor == "" {
		return
	}
	if err := reuse.Erase(ctx, s, &keeper.Kept, c.Role, c.ReusedFor, c.Serial); err != nil {
		keeper.Log.Warn("the key of a certificate that is revoked could not be erased yet",
			"serial", c.View().Serial, "error", err)
	}
}
