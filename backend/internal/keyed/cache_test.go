// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// oracle answers with the number of the question, a second later.
type oracle struct {
	mu    sync.Mutex
	asked int
	err   error
}

func (o *oracle) ask() (int, error) {
	o.mu.Lock()
	o.asked++
	n, err := o.asked, o.err
	o.mu.Unlock()
	time.Sleep(time.Second)
	return n, err
}

func newCache() *Cache[int] {
	return &Cache[int]{Life: time.Minute, Now: time.Now, Run: func(f func()) { go f() }}
}

func TestCacheAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newCache(), new(oracle)
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				v, old, err := m.Get(t.Context(), "a", false, o.ask)
				require.NoError(t, err)
				require.Equal(t, 1, v)
				require.False(t, old, "it was not there before")
			})
		}
		callers.Wait()
		v, old, err := m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.True(t, old)
		v, _, err = m.Get(t.Context(), "b", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v, "another question has another answer")
		time.Sleep(time.Minute)
		v, _, err = m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 3, v, "its time is over")
	})
}

func TestCacheNeverKeepsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newCache(), &oracle{err: errors.New("away")}
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				_, _, err := m.Get(t.Context(), "a", false, o.ask)
				require.ErrorIs(t, err, o.err)
			})
		}
		callers.Wait()
		require.Equal(t, 1, o.asked, "all waited for one")
		o.err = nil
		v, _, err := m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v)
		o.err = errors.New("away again")
		_, _, err = m.Get(t.Context(), "a", true, o.ask)
		require.ErrorIs(t, err, o.err)
		v, old, err := m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.True(t, old, "what was known before stays known")
		require.Equal(t, 2, v)
	})
}

func TestCacheAsksAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newCache(), new(oracle)
		first := make(chan int)
		go func() {
			v, _, _ := m.Get(t.Context(), "a", false, o.ask)
			first <- v
		}()
		time.Sleep(time.Millisecond)
		v, _, err := m.Get(t.Context(), "a", true, func() (int, error) { return o.ask() })
		require.NoError(t, err)
		require.Equal(t, 2, v, "the question under way may have missed what has changed")
		require.Equal(t, 1, <-first)
		v, _, _ = m.Get(t.Context(), "a", false, o.ask)
		require.Equal(t, 2, v)
	})
}

func TestCacheKeepsTheLaterOfTwoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newCache()
		slow := func() (int, error) { time.Sleep(10 * time.Second); return 1, nil }
		quick := func() (int, error) { return 2, nil }
		go func() { _, _, _ = m.Get(context.WithoutCancel(t.Context()), "a", false, slow) }()
		time.Sleep(time.Millisecond)
		_, _, err := m.Get(t.Context(), "a", true, quick)
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		v, old, err := m.Get(t.Context(), "a", false, quick)
		require.NoError(t, err)
		require.True(t, old)
		require.Equal(t, 2, v, "the answer of a question that was asked earlier came later")
	})
}

func TestCacheOutlivesTheCallerWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newCache(), new(oracle)
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, _, err := m.Get(ctx, "a", false, o.ask)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		v, _, err := m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 1, v, "the answer that the first one did not wait for")
	})
}

func TestCacheForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newCache(), new(oracle)
		go func() { _, _, _ = m.Get(context.WithoutCancel(t.Context()), "a", false, o.ask) }()
		time.Sleep(time.Millisecond)
		m.Forget()
		time.Sleep(time.Minute / 2)
		v, _, err := m.Get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v, "an answer that was under way belongs to what is forgotten")
	})
}

func TestCacheIsBounded(t *testing.T) {
	m := newCache()
	for i := range 10 * maxEntries {
		_, _, err := m.Get(t.Context(), fmt.Sprint(i), false, func() (int, error) { return i, nil })
		require.NoError(t, err)
		require.LessOrEqual(t, len(m.entries), maxEntries)
	}
}

// A clock that was ahead when an answer came, and has been set right since, does not keep the
// answer until it is there again.
func TestAnAnswerFromTheFutureIsAskedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Hour
		m, o := newCache(), new(oracle)
		m.Now = func() time.Time { return time.Now().Add(ahead) }
		_, _, err := m.Get(t.Context(), "k", false, o.ask)
		require.NoError(t, err)
		ahead = 0
		n, old, err := m.Get(t.Context(), "k", false, o.ask)
		require.NoError(t, err)
		require.False(t, old)
		require.Equal(t, 2, n)
	})
}
