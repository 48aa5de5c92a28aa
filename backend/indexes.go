// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/hashicorp/vault/sdk/logical"
)

// tendIndexes is the background pass's part in what is listed of certificates and orders. What goes
// wrong in it is logged, and fails no pass.
func tendIndexes(ctx context.Context, e *Engine, s logical.Storage) {
	e.Certificates.Index.Tend(ctx, s)
	e.Orders.Index.Tend(ctx, s)
}

// invalidateIndexes has an entry that another node has changed read again.
func invalidateIndexes(e *Engine, key string) {
	if serial, is := strings.CutPrefix(key, certificates.Prefix); is {
		e.Certificates.Index.Doubt(serial)
	}
	if order, is := orders.KeyOf(key); is {
		e.Orders.Index.Doubt(order)
	}
}
