// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A node that is asked to stop may be about to lose its machine, and a cluster has no active node until it has stopped. So
// a background pass that waits for a slow CA must not hold it up. Vault gives the engine no sign before everything that Vault
// itself waits for is over, the call that the pass may run in included.
func TestTheBackgroundPassStopsAtOnceWhenItsNodeDoes(t *testing.T) {
	t.Parallel()
	onLinux(t)
	const many = 12
	for name, story := range map[string]struct {
		busy func(t *testing.T, v *server, ca *authority) // leaves work for the pass
		op   string                                       // what the pass asks the CA for it
		stop func(v *server) error
		kept func(t *testing.T, v *server, ca *authority) // nothing is lost
	}{
		"sealed while it looks after orders": {
			func(t *testing.T, v *server, ca *authority) { placeOpenOrders(t, v, ca, many) }, certinexttest.OpTrack,
			func(v *server) error { return v.api.Sys().SealWithContext(v.t.Context()) },
			func(t *testing.T, v *server, ca *authority) { requireOpenOrders(t, v, ca, many) },
		},
		"stepping down while it revokes": {
			func(t *testing.T, v *server, ca *authority) { queueRevocations(t, v, ca, many) }, certinexttest.OpRevoke,
			func(v *server) error { return v.api.Sys().StepDownWithContext(v.t.Context()) },
			func(t *testing.T, v *server, _ *authority) { requireNoRevocationLost(t, v, many) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
			calls := watchCalls(ca)
			v := startVault(t)
			v.configure(ca)
			story.busy(t, v, ca)
			ca.Inject(certinexttest.Fault{Operation: story.op, Kind: certinexttest.FaultLatency, Delay: 15 * time.Second})
			begun := time.Now()
			waitUntil(t, 75*time.Second, "the pass is busy", func() bool { return calls.after(begun, story.op) > 0 })

			pids := v.pluginPIDs()
			require.NotEmpty(t, pids)
			asked := time.Now()
			require.NoError(t, story.stop(v))
			answered := time.Since(asked)
			waitUntil(t, 150*time.Second, "the plugin has ended", func() bool {
				return !slices.ContainsFunc(pids, func(pid int) bool { return runs(pid, programs.plugin) })
			})
			ended := time.Since(asked)
			late := calls.after(asked.Add(time.Second), "")
			t.Logf("Vault answered after %s, the plugin had ended after %s, the CA heard %d calls more than a second after",
				answered.Round(time.Millisecond), ended.Round(time.Millisecond), late)
			require.Less(t, ended, 5*time.Second, "the pass held up its node")
			require.Zero(t, late, "the CA was called after the node was to stop")

			ca.ClearFaults()
			v.awaken()
			story.kept(t, v, ca)
		})
	}
}

// callLog is when the CA was called.
type callLog struct {
	mu    sync.Mutex
	times []time.Time
	ops   []string
}

// watchCalls notes the calls of a CA that has not been called yet.
func watchCalls(ca *authority) *callLog {
	l := new(callLog)
	ca.Configure(func(s *certinexttest.Server) {
		s.BeforeCall = func(op string, _ *http.Request) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.times, l.ops = append(l.times, time.Now()), append(l.ops, op)
		}
	})
	return l
}

// after counts the calls of op, or of any operation, after a time.
func (l *callLog) after(when time.Time, op string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for i, at := range l.times {
		if at.After(when) && (op == "" || l.ops[i] == op) {
			n++
		}
	}
	return n
}

// placeOpenOrders places orders that stay open.
func placeOpenOrders(t *testing.T, v *server, ca *authority, n int) {
	t.Helper()
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
	for i := range n {
		order := v.write("certinext/orders/web", map[string]any{"common_name": fmt.Sprintf("open%d.example.com", i)})
		require.Equal(t, "pending", order.Data["state"])
	}
}

func requireOpenOrders(t *testing.T, v *server, ca *authority, n int) {
	t.Helper()
	require.Len(t, ca.Orders(), n)
	orders := v.list("certinext/orders/web")
	require.Len(t, orders, n)
	for _, id := range orders {
		require.Equal(t, "pending", v.read("certinext/orders/web/" + id)["state"])
	}
}

// queueRevocations ends leases while the CA is down, and has the server begin anew, so that the revocations are due when the
// pass runs for the first time.
func queueRevocations(t *testing.T, v *server, ca *authority, n int) {
	t.Helper()
	var answers []*api.Secret
	for i := range n {
		answers = append(answers, v.write("certinext/issue/web", map[string]any{"common_name": fmt.Sprintf("queued%d.example.com", i)}))
	}
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
	for _, resp := range answers {
		v.endLease(resp)
	}
	for _, o := range ca.Orders() {
		require.Equal(t, "issued", o.Status)
	}
	require.Empty(t, v.list("certinext/certs/revoked"))
	requireNoRevocationLost(t, v, n)
	require.NoError(t, v.api.Sys().SealWithContext(t.Context()))
	ca.ClearFaults()
	v.awaken()
}

// requireNoRevocationLost holds of n certificates that each is revoked or still queued for it. Which of the two, a slow CA
// decides: it may yet carry out what it was asked for by a pass that no longer listens.
func requireNoRevocationLost(t *testing.T, v *server, n int) {
	t.Helper()
	remembered := 0
	for _, serial := range v.list("certinext/certs") {
		cert := v.read("certinext/cert/" + serial)
		if cert["revocation_queued"] == true || fmt.Sprint(cert["revocation_time"]) != "0" {
			remembered++
		}
	}
	require.Equal(t, n, remembered)
}
