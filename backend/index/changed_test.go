// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An old entry changes, and the process dies before its page is saved.
func TestAnAnnouncedChangeIsReadAfterAStart(t *testing.T) {
	for _, announced := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, x, r := new(logical.InmemStorage), newIndex(clock), row(1)
			put(t, x, s, r)
			<-x.Begin(t.Context(), s, 0)
			x.Tend(t.Context(), s)
			r.Role = "other"
			if announced {
				told, err := x.Announce(t.Context(), s, r.Serial)
				require.NoError(t, err)
				require.NoError(t, store.Put(t.Context(), s, "entry/"+r.Serial, r))
				_ = told // it has died before
			} else {
				require.NoError(t, store.Put(t.Context(), s, "entry/"+r.Serial, r))
			}
			x = newIndex(clock)
			<-x.Begin(t.Context(), s, 0)
			want := map[bool]string{true: "other", false: "web"}[announced]
			require.Equal(t, want, x.Find([]string{r.Serial})[r.Serial].Role)
			x.Tend(t.Context(), s)
			left, err := store.List(t.Context(), s, x.prefix+changedPrefix)
			require.NoError(t, err)
			require.Empty(t, left, "what is saved is not read at each start")
		})
	}
}

// What was announced is forgotten by no pass that has not saved it.
func TestAnAnnouncedChangeIsKeptUntilItIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, x, r := new(logical.InmemStorage), newIndex(clock), row(1)
		put(t, x, s, r)
		<-x.Begin(t.Context(), s, 0)
		left := func() int {
			keys, err := store.List(t.Context(), s, x.prefix+changedPrefix)
			require.NoError(t, err)
			return len(keys)
		}
		first, err := x.Announce(t.Context(), s, r.Serial)
		require.NoError(t, err)
		x.Tend(t.Context(), s)
		require.Equal(t, 1, left(), "the change comes yet")
		put(t, x, s, r)
		first()
		taken := x.takeAnnounced()
		require.Len(t, taken, 1)
		second, err := x.Announce(t.Context(), s, r.Serial)
		require.NoError(t, err)
		require.NoError(t, x.save(t.Context(), s))
		require.NoError(t, x.forgetAnnounced(t.Context(), s, taken))
		require.Equal(t, 1, left(), "another change has been announced")
		second()
		require.NoError(t, x.forgetAnnounced(t.Context(), s, taken))
		require.Equal(t, 1, left(), "it is not known to be saved")
		x.Tend(t.Context(), s)
		require.Zero(t, left())
	})
}
