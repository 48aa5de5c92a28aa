// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// revokedAtCA returns how many orders CERTInext has revoked.
func (m *mount) revokedAtCA() int {
	n := 0
	for _, o := range m.ca.Orders() {
		if o.Status == "revoked" {
			n++
		}
	}
	return n
}

// issued issues n certificates, each with a name and a lease of its own.
func (m *mount) issued(n int) []*logical.Response {
	m.t.Helper()
	out := make([]*logical.Response, n)
	for i := range out {
		out[i] = m.write("issue/web", map[string]any{"common_name": fmt.Sprintf("leased-%d.example.com", i)})
	}
	return out
}

func TestTheEndOfALeaseReachesTheCAWhileNoOrderCanBeTracked(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		leased := m.issued(4)
		m.place(200)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
		m.everyMinute(10)

		m.endLease(leased[0])
		require.Equal(t, 1, m.revokedAtCA(), "the end of a lease asks at once")
		resp := m.write("revoke", map[string]any{"serial_number": leased[1].Data["serial_number"]})
		require.Equal(t, "queued", resp.Data["state"], "nobody has seen it revoked")
		require.Equal(t, 2, m.revokedAtCA())

		// Two that CERTInext does not take at once are taken by the next pass that they are due for.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Times: 2})
		m.endLease(leased[2])
		m.endLease(leased[3])
		time.Sleep(time.Minute)
		m.pass()
		require.Equal(t, 4, m.revokedAtCA())
		require.Len(t, m.list("certs/revocation-queue"), 4, "until the status of their orders can be read")

		ca.ClearFaults()
		m.everyMinute(20)
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Len(t, m.list("certs/revoked"), 4)
	})
}

// Vault gives a lease up after it could not end it six times. From the moment that the revocation is queued, it ends it.
func TestTheEndOfALeaseIsQueuedBeforeAnythingElseIsStored(t *testing.T) {
	for _, prefix := range []string{"cert/", "revoked/"} {
		t.Run(prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				issued := m.write("issue/web", www)
				m.storage.cutOff(prefix)
				_, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(issued)})
				require.Equal(t, prefix == "cert/", err != nil, "Vault asks again for what could not be stored: %v", err)
				require.Len(t, m.list("certs/revocation-queue"), 1)
				m.storage.cutOff("")
				m.start()
				m.everyMinute(5)
				require.Equal(t, 1, m.revokedAtCA())
				require.Len(t, m.list("certs/revoked"), 1)
				require.Empty(t, m.list("certs/revocation-queue"))
			})
		})
	}
	t.Run("the first of two leases", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t, validated(certinexttest.Live))
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h"}})
			first, second := m.write("issue/web", www), m.write("issue/web", www)
			m.storage.cutOff("cert/")
			_, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(first)})
			require.Error(t, err, "Vault tries again")
			m.storage.cutOff("")
			require.Len(t, m.list("certs/revocation-queue"), 1)
			m.everyMinute(30)
			require.Zero(t, m.revokedAtCA(), "the other lease runs")
			m.endLease(second)
			m.everyMinute(60)
			require.Equal(t, 1, m.revokedAtCA(), "when the lease is over of which nobody knows that it has ended")
		})
	})
}

// A process that starts while tracking fails knows nothing of that, and revokes before it finds out.
func TestAQueueOfRevocationsIsDrainedWhileNoOrderCanBeTracked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		leased := m.issued(50)
		m.place(200)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
		for _, resp := range leased {
			m.endLease(resp)
		}
		m.everyMinute(10)
		require.Zero(t, m.revokedAtCA())
		ca.ClearFaults()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultServerError})
		time.Sleep(5 * time.Minute) // the longest pause
		m.pass()
		require.Equal(t, 50, m.revokedAtCA(), "after one pass")
		ca.ResetCalls()
		m.everyMinute(60)
		require.Less(t, ca.Calls()[certinexttest.OpTrack], 200, "what waits to be confirmed probes as orders do")
		require.Zero(t, ca.Calls()[certinexttest.OpRevoke], "what was taken is not sent again")
	})
}

// calls takes down when CERTInext was asked for what.
type calls struct {
	next http.RoundTripper

	mu      sync.Mutex
	revokes []time.Time
	others  []time.Time
	paths   []string // in the order of the calls
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	list := &c.others
	if strings.HasSuffix(r.URL.Path, "/revoke") {
		list = &c.revokes
	}
	*list = append(*list, time.Now())
	c.paths = append(c.paths, r.URL.Path)
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// within returns how many of the times are less than d after start.
func within(times []time.Time, start time.Time, d time.Duration) int {
	n := 0
	for _, at := range times {
		if at.Before(start.Add(d)) {
			n++
		}
	}
	return n
}

func TestAnOutageOfTheWholeCAIsNotHammeredByRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		leased := m.issued(100)
		m.place(200)
		c := &calls{next: ca.Client().Transport}
		m.startWith(&http.Client{Transport: c})
		for _, op := range []string{certinexttest.OpRevoke, certinexttest.OpTrack} {
			ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultServerError})
		}
		start := time.Now()
		for _, resp := range leased {
			m.endLease(resp)
		}
		m.everyMinute(60)
		require.Less(t, within(c.revokes, start, time.Hour), 60)
		require.Less(t, within(c.others, start, time.Hour), 120)
		ca.ClearFaults()
		m.everyMinute(10)
		require.Equal(t, 100, m.revokedAtCA())
	})
}

// What CERTInext asks of the account holds for all that is asked in its name.
func TestARateLimitHoldsForRevocationsAndOrdersAlike(t *testing.T) {
	for name, limited := range map[string]string{
		"seen by an order": certinexttest.OpTrack, "seen by a revocation": certinexttest.OpRevoke,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				leased := m.issued(2)
				m.place(20)
				c := &calls{next: ca.Client().Transport}
				m.startWith(&http.Client{Transport: c})
				ca.Inject(certinexttest.Fault{Operation: limited, Kind: certinexttest.FaultRateLimit, RetryAfter: 20 * time.Minute, Times: 1})
				if limited == certinexttest.OpRevoke {
					m.endLease(leased[0])
				} else {
					m.pass()
				}
				time.Sleep(time.Second)
				c.revokes, c.others, c.paths = nil, nil, nil
				start := time.Now()
				for _, resp := range leased {
					m.endLease(resp)
				}
				require.Len(t, m.list("certs/revocation-queue"), 2)
				m.everyMinute(25)
				require.Zero(t, within(c.revokes, start, 19*time.Minute+30*time.Second))
				require.Zero(t, within(c.others, start, 19*time.Minute+30*time.Second))
				require.Len(t, c.revokes, 2)
				ofOrders := slices.DeleteFunc(c.paths, func(p string) bool { return !strings.Contains(p, "/ssl-certificates/") })
				require.Greater(t, len(ofOrders), 4)
				require.True(t, strings.HasSuffix(ofOrders[0], "/revoke"), "a revocation finds out whether the limit is over: %v", ofOrders)
			})
		})
	}
}
