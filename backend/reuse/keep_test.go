// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reuse

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func storage() logical.Storage { return logical.NewStorageView(&logical.InmemStorage{}, "") }

// left counts the entries below a prefix.
func left(t *testing.T, s logical.Storage, prefix string) int {
	t.Helper()
	keys, err := logical.CollectKeysWithPrefix(t.Context(), s, prefix)
	require.NoError(t, err)
	return len(keys)
}

func locks() store.Locker { return new(keyed.Mutex) }

func always() bool { return true }

func TestWhatIsOverIsErasedInItsHour(t *testing.T) {
	s, now := storage(), time.Date(2026, 11, 29, 12, 30, 0, 0, time.UTC)
	for n := range most + 50 {
		until := now.Add(time.Duration(n%2) * 2 * time.Hour)
		k := Kept{Serial: "0a", Until: until}
		require.NoError(t, Keep(t.Context(), s, locks(), "web", fmt.Sprintf("f%03d", n), k))
	}
	erase := func(at time.Time, certain func() bool) {
		require.NoError(t, EraseOver(t.Context(), s, locks(), at, certain))
	}
	asked := false
	erase(now, func() bool { asked = true; return true })
	require.False(t, asked, "nothing is over, and the clock is not asked for")
	require.Equal(t, most+50, left(t, s, KeyPrefix))
	erase(now.Add(time.Hour), func() bool { return false })
	require.Equal(t, most+50, left(t, s, KeyPrefix), "by a clock in doubt")
	erase(now.Add(time.Hour), always)
	require.Equal(t, (most+50)/2, left(t, s, KeyPrefix))
	erase(now.Add(3*time.Hour), always)
	require.Zero(t, left(t, s, ""), "and their ends")
}

func TestAPassErasesNoMoreThanItMay(t *testing.T) {
	s, now := storage(), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	for n := range most + 50 {
		k := Kept{Serial: "0a", Until: now.Add(time.Duration(n%3) * time.Hour)}
		require.NoError(t, Keep(t.Context(), s, locks(), "web", fmt.Sprintf("f%03d", n), k))
	}
	later := now.Add(5 * time.Hour)
	require.NoError(t, EraseOver(t.Context(), s, locks(), later, always))
	require.Equal(t, 50, left(t, s, KeyPrefix))
	require.NoError(t, EraseOver(t.Context(), s, locks(), later, always))
	require.Zero(t, left(t, s, ""))
}

func TestWhatTookItsPlaceStays(t *testing.T) {
	s, now := storage(), time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	require.NoError(t, Keep(t.Context(), s, locks(), "web", "f", Kept{Serial: "0a", Until: now}))
	newer := Kept{Serial: "0b", Until: now.Add(day)}
	require.NoError(t, Keep(t.Context(), s, locks(), "web", "f", newer))
	require.NoError(t, EraseOver(t.Context(), s, locks(), now.Add(time.Hour), always))
	require.NoError(t, Erase(t.Context(), s, locks(), "web", "f", "0a"))
	k, err := Find(t.Context(), s, "web", "f")
	require.NoError(t, err)
	require.Equal(t, "0b", k.Serial)
	require.NoError(t, Erase(t.Context(), s, locks(), "web", "f", "0b"))
	require.Zero(t, left(t, s, KeyPrefix))
}

const day = 24 * time.Hour

func TestASweepLooksAtAllOfARoleInPortions(t *testing.T) {
	s := storage()
	for n := range 2*most + 10 {
		k := Kept{Serial: fmt.Sprint(n % 2), Until: time.Now().Add(day)}
		require.NoError(t, Keep(t.Context(), s, locks(), "web", fmt.Sprintf("f%03d", n), k))
	}
	require.NoError(t, Keep(t.Context(), s, locks(), "other", "f", Kept{Serial: "0"}))
	require.NoError(t, SweepLater(t.Context(), s, "web"))
	looked, locked := 0, 0
	lock := func(context.Context, string) (func(), error) {
		locked++
		return func() { locked-- }, nil
	}
	sweep := func() {
		require.NoError(t, Sweep(t.Context(), s, locks(), lock,
			func(_ context.Context, role, _ string, k *Kept) (bool, error) {
				looked++
				require.Equal(t, "web", role)
				require.Equal(t, 1, locked)
				return k.Serial == "1", nil
			}))
	}
	for range 3 {
		sweep()
	}
	require.Equal(t, 2*most+10, looked)
	require.Equal(t, most+5+1, left(t, s, KeyPrefix))
	require.Zero(t, left(t, s, sweepPrefix))
	sweep()
	require.Equal(t, 2*most+10, looked)
	require.NoError(t, SweepAllLater(t.Context(), s))
	require.Equal(t, 2, left(t, s, sweepPrefix))
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	storetest.Compare(t, "v1", map[string]any{
		"kept": &Kept{
			Version: 1, Serial: "0a-1b", OrderID: "6f1d", Requester: "entity:e", Terms: "7e",
			PrivateKey: "PEM", Received: at, Until: at.Add(90 * day),
		},
		"end":   &end{Version: 1},
		"sweep": &sweep{Version: 1, After: "5f"},
	})
}
