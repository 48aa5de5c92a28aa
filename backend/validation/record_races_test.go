// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A slowHost is a DNS host that takes a second to publish a record and two to remove it. It acts at
// the end of a call.
type slowHost struct {
	mu      sync.Mutex
	records map[string]bool // by name
	fails   error           // of the calls that remove
}

func (h *slowHost) set(r dcv.Record, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records[r.Name] = there
}

func (h *slowHost) Publish(_ context.Context, r dcv.Record, _ time.Duration) error {
	time.Sleep(time.Second)
	h.set(r, true)
	return nil
}

func (h *slowHost) Remove(_ context.Context, r dcv.Record) error {
	time.Sleep(2 * time.Second)
	if h.fails != nil {
		return h.fails
	}
	h.set(r, false)
	return nil
}

// slowly returns a publisher whose solver "corp" has a slow host, and the opened solver.
func slowly(t *testing.T) (*Publisher, *slowHost, *readySolver) {
	t.Helper()
	pub, h := New(host.New(host.Options{}), nil), &slowHost{records: map[string]bool{}}
	t.Cleanup(pub.Stop)
	v := &readySolver{Solver: &dcv.Solver{Provider: h}, name: "corp"}
	_, err := pub.solvers.Get(t.Context(), "corp", func() (*readySolver, error) { return v, nil })
	require.NoError(t, err)
	return pub, h, v
}

var racing = dcv.Record{Name: "_c.example.com.", Zone: "example.com.", Value: "v"}

// While one owner removes a record, another one, or the same one again, publishes it. Whoever
// believes afterwards that it is published is right.
func TestARecordIsNotRemovedUnderWhoPublishesIt(t *testing.T) {
	const mine, other = "order/web/a", "domain/example.com"
	for name, publisher := range map[string]string{"another owner": other, "its owner": mine} {
		for _, after := range []time.Duration{0, 500 * time.Millisecond, 1500 * time.Millisecond} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pub, h, v := slowly(t)
					s := new(logical.InmemStorage)
					require.NoError(t, pub.publish(t.Context(), s, v, mine, "example.com", racing))
					published, err := pub.publishedFor(t.Context(), s, mine)
					require.NoError(t, err)
					time.Sleep(time.Second)
					var remover sync.WaitGroup
					remover.Go(func() {
						time.Sleep(time.Second) // since it has read the journal
						_ = pub.removeRecord(t.Context(), s, &published[0])
					})
					time.Sleep(after)
					err = pub.publish(t.Context(), s, v, publisher, "example.com", racing)
					remover.Wait()
					journal, listed := pub.publishedFor(t.Context(), s, publisher)
					require.NoError(t, listed)
					if err == nil {
						require.Len(t, journal, 1)
						require.True(t, journal[0].Done)
						require.True(t, h.records[racing.Name], "it was removed, and nobody knows")
					}
				})
			})
		}
	}
}

// What an operator has had forgotten while the DNS host was asked to remove it stays forgotten.
func TestARecordThatIsForgottenIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub, h, v := slowly(t)
		s := new(logical.InmemStorage)
		require.NoError(t, pub.publish(t.Context(), s, v, "order/web/a", "example.com", racing))
		h.fails = context.DeadlineExceeded
		var remover sync.WaitGroup
		remover.Go(func() { _ = pub.Withdraw(t.Context(), s, "order/web/a", nil) })
		time.Sleep(time.Millisecond)
		require.NoError(t, pub.forgetRecords(t.Context(), s, "corp", "name", true))
		remover.Wait()
		left, err := pub.journal(t.Context(), s)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}
