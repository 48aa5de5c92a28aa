// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A long queue is not read for a status: it tells what the passes have read.
func TestALongQueueIsToldFromMemory(t *testing.T) {
	h := host.New(host.Options{})
	keeper := New(h, account.New(h, account.Options{}), 1)
	s := new(logical.InmemStorage)
	queued := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	for n := range maxLooked + 50 {
		require.NoError(t, keeper.Enqueue(t.Context(), s, &Queued{
			Version: 1, Serial: fmt.Sprintf("5b-%03d", n), Due: true, LastError: "503",
			QueuedAt: queued.Add(-time.Duration(n) * time.Minute), Next: queued.Add(time.Hour),
		}))
	}
	look := func() QueueLength {
		q, err := LookAtQueue(t.Context(), keeper, s)
		require.NoError(t, err)
		return q
	}
	q := look()
	require.Equal(t, maxLooked+50, q.Queued)
	require.False(t, q.Whole)
	require.Zero(t, q.Due, "nothing was read yet")

	_, _, err := keeper.Due(t.Context(), s, 1000, time.Minute)
	require.NoError(t, err)
	q = look()
	require.True(t, q.Whole)
	require.Equal(t, maxLooked+50, q.Due)
	require.Equal(t, map[string]int{BlockedNone: maxLooked + 50}, q.Blocked)
	require.Equal(t, "5b:149", q.Oldest)

	for n := range 60 { // few enough to be read
		require.NoError(t, keeper.dequeue(t.Context(), s, fmt.Sprintf("5b-%03d", n)))
	}
	q = look()
	require.Equal(t, maxLooked-10, q.Due)
	require.True(t, q.Whole)
	_, _, err = keeper.Due(t.Context(), s, 1000, time.Minute)
	require.NoError(t, err)
	require.Len(t, keeper.queue.seen, maxLooked-10, "what is gone is forgotten")
}
