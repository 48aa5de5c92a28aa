// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// oneAway is a storage one key of which cannot be read.
type oneAway struct {
	logical.Storage
	key string
}

func (s *oneAway) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if key == s.key {
		return nil, errStorageAway
	}
	return s.Storage.Get(ctx, key)
}

// After a start, an open order that storage does not read keeps no other one from going on.
func TestAnOrderThatCannotBeReadStopsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		bad := m.write("orders/web", map[string]any{"common_name": "a.example.com"}).Data["order_id"].(string)
		good := m.write("orders/web", map[string]any{"common_name": "b.example.com"}).Data["order_id"].(string)
		m.storage.lay(&oneAway{m.storage.under(), "order/open/web/" + bad})
		m.start()
		for range 4 {
			time.Sleep(time.Hour)
			_ = m.failedPass()
		}
		require.Equal(t, "issued", m.read("orders/web/" + good).Data["state"])
	})
}

// An entry that could not be decoded, and is mended, goes on by itself. Nothing is bought meanwhile.
func TestAnEntryThatIsMendedNeedsNoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		id := m.write("orders/web", www).Data["order_id"].(string)
		e, err := m.storage.Get(t.Context(), "order/open/web/"+id)
		require.NoError(t, err)
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: e.Key, Value: e.Value[:len(e.Value)/2]}))
		m.start()
		_ = m.failedPass()
		require.NoError(t, m.storage.Put(t.Context(), e))
		for range 4 {
			time.Sleep(time.Hour)
			_ = m.failedPass()
		}
		_, err = m.attempt("issue/web", www)
		require.NoError(t, err)
		require.Len(t, ca.Orders(), 1, "bought twice")
		require.Equal(t, "issued", m.read("orders/web/" + id).Data["state"])
	})
}

// The entry of a held order cannot be decoded: it may be the same request's.
func TestNothingIsBoughtBesideAnOrderThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := wrongly(certinexttest.MisissueExtraName)
		m := newMount(t, ca)
		m.refused("issue/web", www)
		id := m.heldOrder()["order_id"].(string)
		e, err := m.storage.Get(t.Context(), "order/open/web/"+id)
		require.NoError(t, err)
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: e.Key, Value: e.Value[:len(e.Value)/2]}))
		m.start()
		_, _ = m.attempt("issue/web", www)
		require.Len(t, ca.Orders(), 1, "bought twice")
	})
}
