// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A slowStorage takes ten seconds to read an entry, and fails when told to.
type slowStorage struct {
	logical.Storage
	reads int
	fail  error
}

func (s *slowStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.reads++
	time.Sleep(10 * time.Second)
	if s.fail != nil {
		return nil, s.fail
	}
	return s.Storage.Get(ctx, key)
}

func storeOrder(t *testing.T, s logical.Storage, id string) {
	t.Helper()
	o := &orderEntry{Version: 1, ID: id, Role: "web", State: StatePending, Fingerprint: id}
	require.NoError(t, store.Put(t.Context(), s, o.openKey(), o))
}

// claimed returns the id of the order that a request of this fingerprint finds; empty when there is
// none.
func claimed(r *registry, fingerprint string) string {
	t, _, _ := r.claim(func(t *tracked) bool { return t.fingerprint == fingerprint })
	return t.id
}

func TestTheRegistryIsFilledOnceAndNoRequestWaitsForItLongerThanItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStorage{Storage: new(logical.InmemStorage)}
		storeOrder(t, s.Storage, "a")
		storeOrder(t, s.Storage, "b")
		r := new(registry)
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- r.load(t.Context(), s) }()
		}
		time.Sleep(time.Second)
		start := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var refused *fault.RefusedError
		require.ErrorAs(t, r.load(short, s), &refused, "its client is told to ask again")
		require.Equal(t, time.Second, time.Since(start))
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.Equal(t, 2, s.reads)
		require.Equal(t, "a", claimed(r, "a"))
		require.Equal(t, "b", claimed(r, "b"))
	})
}

func TestARequestThatRunsOutOfTimeWhileFillingTheRegistryIsToldToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStorage{Storage: new(logical.InmemStorage), fail: context.DeadlineExceeded}
		storeOrder(t, s.Storage, "a")
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var refused *fault.RefusedError
		require.ErrorAs(t, new(registry).load(short, s), &refused)
	})
}

func TestARegistryThatCouldNotBeFilledIsFilledByTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStorage{Storage: new(logical.InmemStorage), fail: errors.New("storage is away")}
		storeOrder(t, s.Storage, "a")
		r := new(registry)
		require.ErrorContains(t, r.load(t.Context(), s), "storage is away")
		require.Empty(t, claimed(r, "a"))
		s.fail = nil
		require.NoError(t, r.load(t.Context(), s))
		require.Equal(t, "a", claimed(r, "a"))
	})
}

func TestWhatChangesWhileTheRegistryIsFilledIsNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStorage{Storage: new(logical.InmemStorage)}
		storeOrder(t, s.Storage, "a")
		r := new(registry)
		done := make(chan error, 1)
		go func() { done <- r.load(t.Context(), s) }()
		time.Sleep(time.Second)
		storeOrder(t, s.Storage, "b") // by another node, after the list was read
		r.forget(time.Now())
		require.NoError(t, <-done)
		require.Equal(t, "b", claimed(r, "b"))
	})
}

func TestDueListsTheLongestOverdueOfEachKind(t *testing.T) {
	now := time.Now()
	r := new(registry)
	for i, id := range []string{"a", "b", "c", "d", "e", "f"} {
		h := r.reserve(tracked{id: id}, nil)
		h.next = now.Add(-time.Duration(i) * time.Minute)
		h.Release()
	}
	for _, id := range []string{"a", "c", "e"} {
		r.markDelivered(id, "0a", certificates.Delivery{})
	}
	handed, others := r.due(now, 2)
	require.Equal(t, []string{"e", "c"}, handed)
	require.Equal(t, []string{"f", "d"}, others)
}

func TestANumberIsTakenOnce(t *testing.T) {
	r := new(registry)
	r.reserve(tracked{id: "a"}, nil)
	r.reserve(tracked{id: "b"}, nil)
	require.Empty(t, r.takeNumber("a", "acct", "1"))
	require.Empty(t, r.takeNumber("a", "acct", "1"))
	require.Equal(t, "a", r.takeNumber("b", "acct", "1"))
	require.Empty(t, r.takeNumber("a", "acct", "2"))
	require.Empty(t, r.takeNumber("b", "acct", "1"), "a has another one by now")
}
