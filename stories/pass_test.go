// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// place places n orders that wait for an approver, and starts a new process that has not looked at any of them.
func (m *mount) place(n int) {
	m.t.Helper()
	m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	for i := range n {
		m.write("orders/web", map[string]any{"common_name": fmt.Sprintf("waiting-%d.example.com", i)})
	}
	m.start()
}

// aloof is a CERTInext that treats a few orders badly. It counts how often each was tracked.
type aloof struct {
	next http.RoundTripper
	bad  map[string]string // "hang" or "fail", by order

	mu      sync.Mutex
	tracked map[string]int
}

func (a *aloof) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/ssl-certificates/") {
		a.mu.Lock()
		a.tracked[r.URL.Path]++
		a.mu.Unlock()
		time.Sleep(80 * time.Millisecond) // as observed
		switch a.bad[path.Base(r.URL.Path)] {
		case "hang":
			<-r.Context().Done()
			return nil, r.Context().Err()
		case "fail":
			return &http.Response{
				StatusCode: http.StatusInternalServerError, Header: make(http.Header), Request: r,
				Body: io.NopCloser(bytes.NewReader([]byte("{}"))),
			}, nil
		}
	}
	return a.next.RoundTrip(r)
}

func TestManyOrdersThatHangOrAlwaysFailKeepNoOtherFromItsTurn(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		const n, passes = 1000, 5 // of 200 orders each
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.place(n)
		bad := make(map[string]string)
		for i, o := range ca.Orders() {
			switch {
			case i%250 == 0:
				bad[o.ID] = "hang"
			case i%50 == 0:
				bad[o.ID] = "fail"
			}
		}
		a := &aloof{next: ca.Client().Transport, tracked: make(map[string]int), bad: bad}
		m.startWith(&http.Client{Transport: a})
		m.everyMinute(passes)
		turns := len(a.tracked) // too many to be printed
		require.Equal(t, n, turns, "orders that had their turn")

		last := ca.Orders()[n-1]
		require.NoError(t, ca.Approve(last.ID))
		clear(a.tracked)
		m.everyMinute(60)
		require.Len(t, m.list("certs"), 1, "certificates of orders that were approved an hour ago")
		for order, times := range a.tracked {
			require.Less(t, times, 50, "%s in an hour", order)
		}
	})
}

func TestAnOrderIsLeftAloneAsLongAsTheCAAsks(t *testing.T) {
	for name, c := range map[string]struct {
		status  int // of the answer to one order; 0 for a rate limit of the account
		hint    time.Duration
		want    time.Duration
		another bool // the other order is asked about meanwhile
	}{
		"a rate limit is the account's":          {hint: 10 * time.Minute, want: 10 * time.Minute},
		"an hour at most":                        {hint: 10 * 365 * 24 * time.Hour, want: time.Hour},
		"what is wrong with an order is its own": {status: 503, hint: 20 * time.Minute, want: 20 * time.Minute, another: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.place(2)
				ca.Inject(certinexttest.Fault{
					Operation: certinexttest.OpTrack, Kind: certinexttest.FaultRateLimit, Status: c.status, RetryAfter: c.hint, Times: 1,
				})
				w := &watch{next: ca.Client().Transport, tracked: make(map[string][]time.Time)}
				m.startWith(&http.Client{Transport: w})
				start := time.Now()
				m.everyMinute(int(c.want/time.Minute) + 3)
				require.Len(t, w.tracked, 2)
				for order, times := range w.tracked {
					own := order == w.hinted
					early, late := 0, 0 // before the end of what was asked for, and behind it
					for _, at := range times {
						switch since := at.Sub(start); {
						case since > time.Second && since < c.want:
							early++
						case since >= c.want && since < c.want+3*time.Minute:
							late++
						}
					}
					require.Equal(t, c.another && !own, early > 0, "asked early: %v", times)
					if own {
						require.Positive(t, late, "never asked again")
					}
				}
			})
		})
	}
}

// watch takes down when each order is tracked, and which one was answered with a hint.
type watch struct {
	next http.RoundTripper

	mu      sync.Mutex
	tracked map[string][]time.Time
	hinted  string
}

func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.next.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/ssl-certificates/") {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tracked[r.URL.Path] = append(w.tracked[r.URL.Path], time.Now())
		if resp.Header.Get("Retry-After") != "" {
			w.hinted = r.URL.Path
		}
	}
	return resp, err
}

// rateLimited makes the background work pause for an hour.
func rateLimited(t *testing.T, m *mount) {
	t.Helper()
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour, Times: 1})
	m.endLease(m.write("issue/web", map[string]any{"common_name": "limited.example.com"}))
	require.Len(t, m.list("certs/revocation-queue"), 1)
}

func TestWhoWaitsForAnAnswerIsNotHeldUpByThePauseOfTheBackgroundWork(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		rateLimited(t, m)
		start := time.Now()
		issued := m.write("issue/web", www)
		require.Equal(t, "revoked", m.write("revoke", map[string]any{"serial_number": issued.Data["serial_number"]}).Data["state"])
		queued := m.list("certs/revocation-queue")[0]
		require.Equal(t, "revoked", m.write("revoke", map[string]any{"serial_number": queued}).Data["state"])
		require.Less(t, time.Since(start), 5*time.Second)
		require.Empty(t, m.list("certs/revocation-queue"))
	})
}

func TestKeysAreErasedWhileTheBackgroundWorkPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("issue/web", www)
		rateLimited(t, m)
		m.ca.ResetCalls()
		m.everyMinute(10)
		requireNoKeys(t, m)
		require.Empty(t, m.ca.Calls())
	})
}

func TestAnotherAccountIsNotHeldUpByThePauseOfTheOneBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		rateLimited(t, m)
		m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		m.write("orders/web", www)
		time.Sleep(10 * time.Minute)
		m.ca.ResetCalls()
		m.pass()
		require.Empty(t, m.ca.Calls())
		m.write("config", m.account())
		m.pass()
		require.Equal(t, 1, m.ca.Calls()[certinexttest.OpTrack])
	})
}

func TestClosingTheMountEndsAPassThatHangs(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		const n = 50
		ca := validated(dialect)
		m := newMount(t, ca)
		leases := m.leases(n)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		m.endAll(leases)
		ca.ClearFaults()
		m.place(n)
		f := m.watch()
		time.Sleep(time.Hour)
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Hour})
		passed := make(chan error)
		go func() {
			_, err := m.backend.HandleRequest(t.Context(), &logical.Request{
				Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true},
			})
			if errors.Is(err, logical.ErrUnsupportedOperation) { // to roll back; the pass is done
				err = nil
			}
			passed <- err
		}()
		time.Sleep(5 * time.Second)
		m.storage.failing(func(string) error { // what is under way is stored first
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		start := time.Now()
		m.backend.Cleanup(t.Context())
		stored := len(m.storage.writes())
		require.NoError(t, <-passed)
		require.Len(t, m.storage.writes(), stored, "the pass writes after the end")
		require.Less(t, time.Since(start), time.Second)
		calls, _ := f.counts()
		require.LessOrEqual(t, calls, 8, "four revocations and four orders at a time")

		m.storage.failing(nil)
		m.pass() // one that Vault began before it knew
		m.endLease(leases[0])
		time.Sleep(2 * time.Hour)
		after, _ := f.counts()
		require.Equal(t, calls, after, "CERTInext is asked after the end")
		for key, value := range m.storage.dump(t) {
			require.True(t, json.Valid(value), key)
		}

		ca.ClearFaults()
		require.Len(t, m.list("orders/web"), 2*n)
		for _, o := range ca.Orders()[n:] {
			require.NoError(t, ca.Approve(o.ID))
		}
		m.start()
		m.drain(10)
		m.everyMinute(10)
		for i, o := range ca.Orders() {
			require.Equal(t, i >= n, o.Status == "issued", "%d: %s", i, o.Status)
		}
		require.Len(t, m.list("certs"), 2*n)
	})
}

func TestOnlyTheActiveNodeOfThePrimaryWorksInTheBackground(t *testing.T) {
	for name, c := range map[string]struct {
		state consts.ReplicationState
		local bool
		works bool
	}{
		"the active node":                        {works: true},
		"the active node of a primary":           {state: consts.ReplicationPerformancePrimary | consts.ReplicationDRPrimary, works: true},
		"a performance standby":                  {state: consts.ReplicationPerformanceStandby},
		"a secondary for disaster recovery":      {state: consts.ReplicationDRSecondary, local: true},
		"a performance secondary":                {state: consts.ReplicationPerformanceSecondary},
		"a performance secondary, a local mount": {state: consts.ReplicationPerformanceSecondary, local: true, works: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.place(1)
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped, Times: 5})
				m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
				m.endLease(m.write("issue/web", www))
				m.system.ReplicationStateVal, m.system.LocalMountVal = c.state, c.local
				time.Sleep(time.Hour)
				m.ca.ResetCalls()
				m.pass()
				require.Equal(t, c.works, m.ca.Calls()[certinexttest.OpTrack] > 0, "orders")
				require.Equal(t, c.works, m.ca.Calls()[certinexttest.OpRevoke] > 0, "revocations")
			})
		})
	}
}

// tally counts the operations on the storage below it, and each key that is listed like one more.
type tally struct {
	logical.Storage
	ops atomic.Int64
}

func (s *tally) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.ops.Add(1)
	return s.Storage.Get(ctx, key)
}

func (s *tally) List(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.Storage.List(ctx, prefix)
	s.ops.Add(1 + int64(len(keys)))
	return keys, err
}

func (s *tally) Put(ctx context.Context, e *logical.StorageEntry) error {
	s.ops.Add(1)
	return s.Storage.Put(ctx, e)
}

func (s *tally) Delete(ctx context.Context, key string) error {
	s.ops.Add(1)
	return s.Storage.Delete(ctx, key)
}

func TestAPassCostsTheSameHoweverManyCertificatesAreStored(t *testing.T) {
	atSize(t)
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		serial := m.write("issue/web", www).Data["serial_number"].(string)
		m.everyMinute(10) // its order is closed
		entries := m.storage.dump(t)
		cert := entries["cert/"+strings.ReplaceAll(serial, ":", "-")]
		closed := entries["order/closed/web/"+m.list("orders/web")[0]]
		require.NotEmpty(t, cert)
		require.NotEmpty(t, closed)
		m.place(3)

		count := &tally{Storage: m.storage.under()}
		m.storage.lay(count)
		passes := func() (ops []int64) {
			m.start()
			for range 5 { // the first one finds the open orders, and some of the others look at them
				count.ops.Store(0)
				m.pass()
				ops = append(ops, count.ops.Load())
				time.Sleep(time.Minute)
			}
			return ops
		}
		passes()
		few := passes()
		for i := range 50_000 {
			for key, value := range map[string][]byte{
				fmt.Sprintf("cert/00-%06x", i): cert, fmt.Sprintf("revoked/00-%06x", i): []byte("{}"),
				fmt.Sprintf("order/closed/web/%08d", i): closed,
			} {
				require.NoError(t, count.Storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: value}))
			}
		}
		require.Equal(t, few, passes(), "storage operations of each pass")
		t.Logf("storage operations of five passes: %v", few)
	})
}

func TestAnOrderThatIsStuckCostsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		synctest.Wait()
		before := runtime.NumGoroutine()
		m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		for i := range 50 {
			m.refused("issue/web", map[string]any{"common_name": fmt.Sprintf("waiting-%d.example.com", i)})
		}
		m.everyMinute(3)
		synctest.Wait()
		require.Less(t, runtime.NumGoroutine()-before, 10)
	})
}

func TestAQueueOfManyThatWaitIsReadAPartAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Times: 1})
		m.endLease(m.write("issue/web", www))
		for i := range 9000 { // certificates of which one of two leases has ended
			e, err := logical.StorageEntryJSON("revocation/"+fmt.Sprintf("00-%04x", i), map[string]any{
				"version": 1, "due": false, "next": time.Now().Add(100 * 24 * time.Hour),
			})
			require.NoError(t, err)
			require.NoError(t, m.storage.Put(t.Context(), e))
		}
		time.Sleep(time.Hour)
		count := &tally{Storage: m.storage.under()}
		m.storage.lay(count)
		for range 5 {
			before := count.ops.Load()
			m.pass()
			require.Less(t, count.ops.Load()-before, int64(9000+2100), "all are listed, and some read")
		}
		require.Equal(t, "revoked", ca.Orders()[0].Status)

		before := count.ops.Load()
		queue := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data
		require.Len(t, queue["keys"], 9000)
		require.Len(t, queue["key_info"], 1000)
		require.Less(t, count.ops.Load()-before, int64(9000+2100), "entry and certificate of those that are described")
	})
}
