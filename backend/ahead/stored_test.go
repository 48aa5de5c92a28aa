// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func wanted(serial string) *Wanted {
	begun := time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC)
	return &Wanted{
		Version: 1, Serial: serial, Role: "web",
		NotBefore: begun, NotAfter: begun.Add(199 * 24 * time.Hour),
		Asked: Asked{
			Requester: "entity:e", EntityID: "e", DisplayName: "userpass-ann",
			DNSNames: []string{"www.example.com"}, IPs: []string{"192.0.2.1"}, TTL: time.Hour,
			ByCSR: true,
		},
	}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", map[string]any{
		"wanted": wanted("0a-1b"), "replaced": &Replaced{Version: 1},
	})
}

func TestWhatIsDueIsFoundByItsTimeAlone(t *testing.T) {
	ctx, s := t.Context(), new(logical.InmemStorage)
	now := time.Date(2027, 4, 10, 12, 0, 0, 0, time.UTC)
	for serial, at := range map[string]time.Time{
		"01": now.Add(-48 * time.Hour), "02": now.Add(-time.Hour), "03": now,
		"04": now.Add(time.Second), "05": now.Add(48 * time.Hour),
	} {
		require.NoError(t, Put(ctx, s, at, wanted(serial)))
	}
	require.NoError(t, s.Put(ctx, &logical.StorageEntry{Key: "ahead/2027-04-10/x", Value: []byte("{")}))
	serials := func(limit int) (out []string) {
		keys, err := Due(ctx, s, now, limit)
		require.NoError(t, err)
		for _, key := range keys {
			if w, err := Get(ctx, s, key); err == nil {
				out = append(out, w.Serial)
			}
		}
		return out
	}
	require.Equal(t, []string{"01", "02", "03"}, serials(10), "the longest overdue first")
	require.Equal(t, []string{"01"}, serials(1))

	keys, err := Due(ctx, s, now, 1)
	require.NoError(t, err)
	w, err := Get(ctx, s, keys[0])
	require.NoError(t, err)
	require.NoError(t, Move(ctx, s, keys[0], now.Add(-48*time.Hour), w), "to where it is")
	require.Equal(t, []string{"01", "02", "03"}, serials(10))
	require.NoError(t, Move(ctx, s, keys[0], now.Add(time.Hour), w))
	require.Equal(t, []string{"02", "03"}, serials(10))
}
