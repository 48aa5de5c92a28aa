// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

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

func newMemo() *memo[int] {
	return &memo[int]{life: time.Minute, now: time.Now, run: func(f func()) { go f() }}
}

func TestMemoAsksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMemo(), new(oracle)
		var callers sync.WaitGroup
		for range 100 {
			callers.Go(func() {
				v, old, err := m.get(t.Context(), "a", false, o.ask)
				require.NoError(t, err)
				require.Equal(t, 1, v)
				require.False(t, old, "it was not there before")
			})
		}
		callers.Wait()
		v, old, err := m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.True(t, old)
		v, _, err = m.get(t.Context(), "b", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v, "another question has another answer")
		time.Sleep(time.Minute)
		v, _, err = m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 3, v, "its time is over")
	})
}

func TestMemoNeverKeepsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMemo(), &oracle{err: errors.New("away")}
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				_, _, err := m.get(t.Context(), "a", false, o.ask)
				require.ErrorIs(t, err, o.err)
			})
		}
		callers.Wait()
		require.Equal(t, 1, o.asked, "all waited for one")
		o.err = nil
		v, _, err := m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v)
		o.err = errors.New("away again")
		_, _, err = m.get(t.Context(), "a", true, o.ask)
		require.ErrorIs(t, err, o.err)
		v, old, err := m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.True(t, old, "what was known before stays known")
		require.Equal(t, 2, v)
	})
}

func TestMemoAsksAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMemo(), new(oracle)
		first := make(chan int)
		go func() {
			v, _, _ := m.get(t.Context(), "a", false, o.ask)
			first <- v
		}()
		time.Sleep(time.Millisecond)
		v, _, err := m.get(t.Context(), "a", true, func() (int, error) { return o.ask() })
		require.NoError(t, err)
		require.Equal(t, 2, v, "the question under way may have missed what has changed")
		require.Equal(t, 1, <-first)
		v, _, _ = m.get(t.Context(), "a", false, o.ask)
		require.Equal(t, 2, v)
	})
}

func TestMemoKeepsTheLaterOfTwoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo()
		slow := func() (int, error) { time.Sleep(10 * time.Second); return 1, nil }
		quick := func() (int, error) { return 2, nil }
		go func() { _, _, _ = m.get(context.WithoutCancel(t.Context()), "a", false, slow) }()
		time.Sleep(time.Millisecond)
		_, _, err := m.get(t.Context(), "a", true, quick)
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		v, old, err := m.get(t.Context(), "a", false, quick)
		require.NoError(t, err)
		require.True(t, old)
		require.Equal(t, 2, v, "the answer of a question that was asked earlier came later")
	})
}

func TestMemoOutlivesTheCallerWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMemo(), new(oracle)
		ctx, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, _, err := m.get(ctx, "a", false, o.ask)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		v, _, err := m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 1, v, "the answer that the first one did not wait for")
	})
}

func TestMemoForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, o := newMemo(), new(oracle)
		go func() { _, _, _ = m.get(context.WithoutCancel(t.Context()), "a", false, o.ask) }()
		time.Sleep(time.Millisecond)
		m.forget()
		time.Sleep(time.Minute / 2)
		v, _, err := m.get(t.Context(), "a", false, o.ask)
		require.NoError(t, err)
		require.Equal(t, 2, v, "an answer that was under way belongs to what is forgotten")
	})
}

func TestMemoIsBounded(t *testing.T) {
	m := newMemo()
	for i := range 10 * maxRemembered {
		_, _, err := m.get(t.Context(), fmt.Sprint(i), false, func() (int, error) { return i, nil })
		require.NoError(t, err)
		require.LessOrEqual(t, len(m.known), maxRemembered)
	}
}
