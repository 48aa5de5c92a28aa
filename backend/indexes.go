// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/inventory"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/hashicorp/vault/sdk/logical"
)

// tendIndexes is the background pass's part in what is listed of certificates and orders. What goes
// wrong in it is logged, and fails no pass.
func tendIndexes(ctx context.Context, e *Engine, s logical.Storage) {
	e.Certificates.Index.Tend(ctx, s)
	e.Orders.Index.Tend(ctx, s)
}

// settleEvery is how often the pass looks for adoptions that were cut short.
const settleEvery = 24 * time.Hour

// settleAdoptions is [orders.SettleAdoptions], once a day, and after a start as soon as all is
// listed.
func settleAdoptions(ctx context.Context, e *Engine, s logical.Storage) error {
	now := e.Steady()
	if !e.settled.IsZero() && now.Sub(e.settled) < settleEvery {
		return nil
	}
	done, err := orders.SettleAdoptions(ctx, e.Orders, s)
	if done && err == nil {
		e.settled = now
	}
	return err
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

// DescribeCertificate is [certificates.Describe].
func DescribeCertificate(
	ctx context.Context, e *Engine, s logical.Storage, serial string,
) (*Certificate, *CertificateDetail, error) {
	return certificates.Describe(ctx, e.Certificates, s, serial)
}

// ListCertificates is [inventory.ListCertificates].
func ListCertificates(
	ctx context.Context, e *Engine, s logical.Storage, q ListQuery,
) (*List, error) {
	return inventory.ListCertificates(ctx, e.Inventory, s, q)
}

// ListOrders is [inventory.ListOrders].
func ListOrders(ctx context.Context, e *Engine, s logical.Storage, q ListQuery) (*List, error) {
	return inventory.ListOrders(ctx, e.Inventory, s, q)
}

// DescribeListed returns what is listed of certificates, by their serial numbers with colons, see
// [inventory.DescribeCertificates].
func DescribeListed(
	ctx context.Context, e *Engine, s logical.Storage, serials []string,
) (map[string]Listed, bool) {
	keys := make([]string, len(serials))
	for i, serial := range serials {
		keys[i] = strings.ReplaceAll(serial, ":", "-")
	}
	found, whole := inventory.DescribeCertificates(ctx, e.Inventory, s, keys)
	out := make(map[string]Listed, len(found))
	for key, l := range found {
		out[inventory.Colons(key)] = l
	}
	return out, whole
}

// DescribeListedOrders is [inventory.DescribeOrders].
func DescribeListedOrders(
	ctx context.Context, e *Engine, s logical.Storage, keys []string,
) (map[string]Listed, bool) {
	return inventory.DescribeOrders(ctx, e.Inventory, s, keys)
}

// OrderKeys is [orders.Keys].
func OrderKeys(ctx context.Context, s logical.Storage) ([]string, error) {
	return orders.Keys(ctx, s)
}
