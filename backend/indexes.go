// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/hashicorp/vault/sdk/logical"
)

// tendIndexes is the background pass's part in what is listed of certificates and orders. What goes
// wrong in it is logged, and fails no pass.
func tendIndexes(ctx context.Context, e *Engine, s logical.Storage) error {
	e.Certificates.Index.Tend(ctx, s)
	return nil
}

// invalidateIndexes has an entry that another node has changed read again.
func invalidateIndexes(e *Engine, key string) {
	if serial, is := strings.CutPrefix(key, certificates.Prefix); is {
		e.Certificates.Index.Doubt(serial)
	}
}
