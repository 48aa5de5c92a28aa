// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoeverWaitsForATurnWaitsAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		release, err := turns.take(t.Context(), "a")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err = turns.take(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		other, err := turns.take(t.Context(), "b")
		require.NoError(t, err, "of another key")
		other()
		release()
		release, err = turns.take(t.Context(), "a")
		require.NoError(t, err)
		release()
		require.Empty(t, turns.keys, "keys that nobody has are forgotten")
	})
}

func TestOneAtATimeHasATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		var all sync.WaitGroup
		inside := 0
		for range 8 {
			all.Go(func() {
				release, err := turns.take(t.Context(), "a")
				require.NoError(t, err)
				inside++
				require.Equal(t, 1, inside)
				time.Sleep(time.Second)
				inside--
				release()
			})
		}
		all.Wait()
	})
}

func TestALazyValueIsMadeOnceItCanBe(t *testing.T) {
	var l lazy[int]
	made := 0
	produce := func(context.Context) (int, error) {
		if made++; made == 1 {
			return 0, errors.New("not yet")
		}
		return made, nil
	}
	_, err := l.get(t.Context(), produce)
	require.EqualError(t, err, "not yet")
	for range 2 {
		v, err := l.get(t.Context(), produce)
		require.NoError(t, err)
		require.Equal(t, 2, v)
	}
}
