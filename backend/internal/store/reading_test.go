// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestReadingStorageIsReadAndNotWritten(t *testing.T) {
	inner := new(logical.InmemStorage)
	require.NoError(t, store.Put(t.Context(), inner, "a", 1))
	s := store.Reading(store.Reading(inner))
	require.True(t, store.IsReading(s))
	require.False(t, store.IsReading(inner))
	require.ErrorContains(t, store.Put(t.Context(), s, "b", 1), "writes nothing")
	require.ErrorContains(t, store.Delete(t.Context(), s, "a"), "writes nothing")
	names, err := store.List(t.Context(), s, "")
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, names)
	n, err := store.Get[int](t.Context(), s, "a")
	require.NoError(t, err)
	require.Equal(t, 1, *n)
}
