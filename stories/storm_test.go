// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// traffic counts what a mount sends to CERTInext and what comes back.
type traffic struct {
	next     http.RoundTripper
	hintless bool // takes Retry-After away

	mu     sync.Mutex
	calls  int
	by     map[int]int    // answers by status, 0 for none
	revoke map[string]int // revocations that were taken, by path
	last   time.Time
}

func (f *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.calls++
	f.last = time.Now()
	f.mu.Unlock()
	resp, err := f.next.RoundTrip(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.by[0]++
		return nil, err
	}
	f.by[resp.StatusCode]++
	if f.hintless {
		resp.Header.Del("Retry-After")
	}
	if strings.HasSuffix(r.URL.Path, "/revoke") && resp.StatusCode < 300 {
		f.revoke[r.URL.Path]++
	}
	return resp, nil
}

// counts returns the number of calls, and of answers with a status.
func (f *traffic) counts() (calls int, by map[int]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls, maps.Clone(f.by)
}

func (f *traffic) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls, f.by, f.revoke = 0, make(map[int]int), make(map[string]int)
}

// watch counts the mount's traffic from now on, in a new plugin process.
func (m *mount) watch() *traffic {
	m.t.Helper()
	f := &traffic{next: m.ca.Client().Transport}
	f.reset()
	m.startWith(&http.Client{Transport: f})
	return f
}

// leases issues n certificates with a lease each.
func (m *mount) leases(n int) []*logical.Response {
	m.t.Helper()
	out := make([]*logical.Response, n)
	for i := range out {
		out[i] = m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("host-%d.example.com", i)})
	}
	return out
}

// Vault ends leases with 200 workers, gives each revocation 90 seconds, and calls a lease irrevocable after six errors. A
// worker holds a lock meanwhile that keeps Vault from sealing.
const vaultWorkers = 200

// endAll ends leases as Vault's expiration manager does, and returns how long the slowest one took.
func (m *mount) endAll(leases []*logical.Response) (slowest time.Duration) {
	m.t.Helper()
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		next = make(chan *logical.Secret)
	)
	for range vaultWorkers {
		wg.Go(func() {
			for secret := range next {
				ctx, cancel := context.WithTimeout(m.t.Context(), 90*time.Second)
				start := time.Now()
				resp, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: secret, ctx: ctx})
				cancel()
				mu.Lock()
				slowest = max(slowest, time.Since(start))
				if err != nil || resp.IsError() {
					errs = append(errs, fmt.Errorf("%v, %w", resp, err))
				}
				mu.Unlock()
			}
		})
	}
	for _, resp := range leases {
		next <- leased(resp)
	}
	close(next)
	wg.Wait()
	require.Empty(m.t, errs, "leases that Vault will call irrevocable")
	return slowest
}

// drain runs the background pass every minute until the queue is empty, and returns how many passes that took.
func (m *mount) drain(atMost int) int {
	m.t.Helper()
	for n := range atMost + 1 {
		if len(m.list("certs/revocation-queue")) == 0 {
			return n
		}
		m.everyMinute(1)
	}
	require.Fail(m.t, "the queue does not end", "%d are left after %d passes", len(m.list("certs/revocation-queue")), atMost)
	return 0
}

// everyMinute runs the background pass n times, as Vault's ticker does.
func (m *mount) everyMinute(n int) {
	m.t.Helper()
	for range n {
		next := time.Now().Add(time.Minute)
		m.pass()
		time.Sleep(time.Until(next))
	}
}

// requireRevoked checks that every order is revoked, and by one call only.
func (m *mount) requireRevoked(f *traffic, n int) {
	m.t.Helper()
	taken := len(f.revoke) // too many to be printed
	require.InDelta(m.t, n, taken, 8, "revocations whose answer was heard: the end of a pass may cut a few short, which are then found to be revoked")
	for path, times := range f.revoke {
		require.Equal(m.t, 1, times, path)
	}
	for _, o := range m.ca.Orders() {
		require.Equal(m.t, "revoked", o.Status)
	}
	revoked := len(m.list("certs/revoked"))
	require.Equal(m.t, n, revoked)
	require.Empty(m.t, m.list("certs/revocation-queue"))
}

func TestAThousandLeasesThatEndAtOnceUnderARateLimitAreRevokedOnceEach(t *testing.T) {
	atSize(t)
	for name, c := range map[string]struct {
		dialect  certinexttest.Dialect
		hintless bool
		own      float64 // the config's requests_per_second
		refused  int     // calls at most that CERTInext answers 429
		passes   int     // at most; nine can do it, since each revocation is seen in its order's status, too
	}{
		"that nobody knows":             {dialect: certinexttest.Live, refused: 2200, passes: 16},
		"that nobody knows, documented": {dialect: certinexttest.Documented, refused: 2200, passes: 16},
		"that gives no hints":           {dialect: certinexttest.Live, hintless: true, refused: 4000, passes: 25},
		"that the config stays below":   {dialect: certinexttest.Live, own: 4, passes: 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				ca := validated(c.dialect)
				m := newMount(t, ca)
				f := m.watch()
				f.hintless = c.hintless
				leases := m.leases(n)
				if c.own > 0 {
					m.write("config", map[string]any{"requests_per_second": c.own})
				}
				ca.Configure(func(s *certinexttest.Server) { s.RateLimit = 5 })
				time.Sleep(time.Minute)
				f.reset()
				start := time.Now()

				slowest := m.endAll(leases)
				require.LessOrEqual(t, slowest, 10*time.Second)
				queued := len(m.list("certs/revocation-queue"))
				passes := m.drain(c.passes)
				m.requireRevoked(f, n)
				calls, by := f.counts()
				require.LessOrEqual(t, by[429], c.refused)
				t.Logf("the slowest end of a lease took %v and left %d queued; %d passes, the last call after %v; %d calls, %d of them answered 429: %.2f calls a revocation",
					slowest.Round(time.Millisecond), queued, passes, f.last.Sub(start).Round(time.Second), calls, by[429], float64(calls)/n)
			})
		})
	}
}

func TestTheQueueOutlivesAnHourWithoutTheCA(t *testing.T) {
	live, documented := certinexttest.Live, certinexttest.Documented
	for name, c := range map[string]struct {
		dialect certinexttest.Dialect
		fault   certinexttest.Fault
	}{
		"that drops connections":         {live, certinexttest.Fault{Kind: certinexttest.FaultDropped}},
		"that shows a gateway's page":    {documented, certinexttest.Fault{Kind: certinexttest.FaultHTML}},
		"that answers 503":               {live, certinexttest.Fault{Kind: certinexttest.FaultServerError}},
		"that hangs":                     {documented, certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Hour}},
		"that lets nobody sign in":       {live, certinexttest.Fault{Operation: certinexttest.OpToken, Kind: certinexttest.FaultServerError}},
		"that answers 429":               {documented, certinexttest.Fault{Kind: certinexttest.FaultRateLimit}},
		"that asks for an hour's leave":  {live, certinexttest.Fault{Kind: certinexttest.FaultRateLimit, RetryAfter: time.Hour}},
		"that asks for ten years' leave": {documented, certinexttest.Fault{Kind: certinexttest.FaultRateLimit, RetryAfter: 10 * 365 * 24 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 200
				ca := validated(c.dialect)
				m := newMount(t, ca)
				f := m.watch()
				leases := m.leases(n)
				time.Sleep(time.Minute)
				f.reset()
				if c.fault.Operation == certinexttest.OpToken {
					ca.KillTokens()
				}
				ca.Inject(c.fault)
				back := time.Now().Add(time.Hour)
				slowest := m.endAll(leases)
				require.LessOrEqual(t, slowest, 10*time.Second)
				m.everyMinute(10)
				m.requireQueued(n)
				first, _ := f.counts()
				require.Less(t, first, 150, "calls in ten minutes")
				m.start() // the queue is durable, and a new process knows of no pause
				f = m.watch()
				m.everyMinute(int(time.Until(back) / time.Minute))
				m.requireQueued(n)
				require.Empty(t, m.list("certs/revoked"))
				second, _ := f.counts()
				require.Less(t, second, 100, "calls in fifty minutes")

				ca.ClearFaults()
				f.reset()
				// A process that asked towards the end of the hour was told to keep away for another one.
				passes := m.drain(8 + int(min(c.fault.RetryAfter, time.Hour)/time.Minute))
				m.requireRevoked(f, n)
				t.Logf("the slowest end of a lease took %v; %d calls in the first ten minutes, %d in the other fifty; queue empty after %d passes",
					slowest.Round(time.Millisecond), first, second, passes)
			})
		})
	}
}

// requireQueued checks what an operator sees of n queued revocations.
func (m *mount) requireQueued(n int) {
	m.t.Helper()
	queue := m.must(call{op: logical.ListOperation, path: "certs/revocation-queue"}).Data
	waiting := len(queue["keys"].([]string))
	require.Equal(m.t, n, waiting)
	said := 0
	for _, info := range queue["key_info"].(map[string]any) {
		entry := info.(map[string]any)
		require.Equal(m.t, "cessation-of-operation", entry["reason"])
		require.Less(m.t, entry["attempts"], 5, "the outage is held against one certificate")
		next, err := time.Parse(time.RFC3339, entry["next_attempt"].(string))
		require.NoError(m.t, err)
		require.Less(m.t, time.Until(next), 61*time.Minute)
		if entry["last_error"] != "" {
			said++
		}
	}
	require.Positive(m.t, said, "nobody says why they wait")
}
