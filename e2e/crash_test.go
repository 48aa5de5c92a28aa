// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("finds the plugin's process in /proc, which is Linux's")
	}
}

// killPlugin kills the engine's process, leaves the server alone, and returns when the server has seen it. What reaches a
// server before that fails.
func (v *server) killPlugin() {
	v.t.Helper()
	const notice = "plugin process exited"
	pids := v.pluginPIDs()
	require.NotEmpty(v.t, pids, "the server has no plugin process")
	before := strings.Count(v.process.output(v.t), notice)
	killAll(pids, programs.plugin)
	waitUntil(v.t, 10*time.Second, "the server sees that the plugin is gone", func() bool {
		return strings.Count(v.process.output(v.t), notice) >= before+len(pids)
	})
}

func TestThePluginDiesBetweenTwoCallsAndTheNextOneWorks(t *testing.T) {
	t.Parallel()
	onLinux(t)
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	before := v.write("certinext/issue/web", map[string]any{"common_name": "before.example.com"})
	v.killPlugin()

	require.Equal(t, before.Data["certificate"], v.read("certinext/cert/" + text(t, before.Data["serial_number"]))["certificate"])
	v.killPlugin()
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "after.example.com"}))
	v.killPlugin()
	v.endLease(before)
	require.Equal(t, "revoked", ca.ordersFor("before.example.com")[0].Status)
	require.Len(t, ca.Orders(), 2)
}

func TestThePluginDiesWhileAnOrderIsOpenAndTheOrderGoesOn(t *testing.T) {
	t.Parallel()
	onLinux(t)
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 4 * time.Second})
	v := startVault(t)
	v.configure(ca)
	request := map[string]any{"common_name": "www.example.com"}
	answered := make(chan error, 1)
	go func() {
		_, err := v.send("certinext/issue/web", request)
		answered <- err
	}()
	waitUntil(t, 20*time.Second, "the order is watched", func() bool { return ca.Calls()[certinexttest.OpTrack] > 0 })
	v.killPlugin()
	if err := <-answered; err != nil {
		t.Logf("the request under way was answered: %v", err)
		ca.check(t, v.persist(30*time.Second, "certinext/issue/web", request))
	}
	require.Equal(t, 1, ca.onlyOrder(t).Creates)
}

// A node that steps down stops the plugin and starts it again when it is active once more.
func TestTheNodeStepsDownAndOpenAndUndeliveredOrdersAreFoundAgain(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("slow", map[string]any{"issue_timeout": "1s"})
	answered := v.write("certinext/issue/web", map[string]any{"common_name": "answered.example.com"})
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 6 * time.Second })
	id := orderID.FindString(v.refused("certinext/issue/slow", map[string]any{"common_name": "open.example.com"}))
	require.NoError(t, v.api.Sys().StepDownWithContext(t.Context()))
	time.Sleep(time.Second) // it is still active for a moment
	waitUntil(t, 60*time.Second, "Vault is active again", func() bool {
		h, err := v.api.Sys().HealthWithContext(t.Context())
		return err == nil && !h.Sealed && !h.Standby
	})

	resp := v.persist(30*time.Second, "certinext/issue/slow", map[string]any{"common_name": "open.example.com"})
	ca.check(t, resp)
	require.Equal(t, id, resp.Data["order_id"])
	// Vault may have died before the answer arrived, so for a while the same request gets it again.
	again := v.write("certinext/issue/web", map[string]any{"common_name": "answered.example.com"})
	requireAgain(t, answered, again)
	require.Len(t, ca.Orders(), 2)
}

// A crash hurts most around the call that buys: the CA may have the order, and Vault may not know its number.
func TestTheMachineCrashesAndTheSameRequestGetsTheCertificateItPaidFor(t *testing.T) {
	t.Parallel()
	onLinux(t)
	for name, story := range map[string]struct {
		dialect certinexttest.Dialect
		crash   func(ca *authority, v *server) // arranges the crash
	}{
		"while the order waits for the CA": {certinexttest.Live, func(ca *authority, v *server) {
			onCall(ca, certinexttest.OpTrack, 2, v.crash)
		}},
		"before the CA's answer to the order arrives": {certinexttest.Live, func(ca *authority, v *server) {
			onCall(ca, certinexttest.OpCreateSSL, 1, v.crash)
		}},
		"before the answer of a CA that keeps no report": {certinexttest.Documented, func(ca *authority, v *server) {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultSpring, Status: http.StatusNotImplemented})
			onCall(ca, certinexttest.OpCreateSSL, 1, v.crash)
		}},
		"before version 1's answer arrives": {certinexttest.V1, func(ca *authority, v *server) {
			onCall(ca, certinexttest.OpCreateSSL, 1, v.crash)
		}},
		"before the download is answered": {certinexttest.Live, func(ca *authority, v *server) {
			onCall(ca, certinexttest.OpCertificate, 1, v.crash)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{
				Dialect: story.dialect, VerifiedDomains: []string{"example.com"}, IssueDelay: 3 * time.Second,
			})
			v := startVault(t)
			v.configure(ca)
			v.api.SetMaxRetries(0)
			request := map[string]any{"common_name": "www.example.com"}
			story.crash(ca, v)
			_, err := v.send("certinext/issue/web", request)
			require.Error(t, err)
			waitUntil(t, 10*time.Second, "the server has crashed", v.process.ended)
			ca.onlyOrder(t)

			v.restart()
			resp := v.persist(60*time.Second, "certinext/issue/web", request)
			ca.check(t, resp)
			require.Equal(t, ca.onlyOrder(t).ID, resp.Data["ca_order_id"])
			require.False(t, ca.onlyOrder(t).ReusedKey)
			ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "another.example.com"}))
		})
	}
}

// The engine cannot tell a CA that never heard of an order from one whose records lag behind, so it does not order again.
func TestTheMachineCrashesBeforeTheCAHearsOfTheOrderAndNothingIsPaidTwice(t *testing.T) {
	t.Parallel()
	onLinux(t)
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.api.SetMaxRetries(0)
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultDropped, Times: 1})
	ca.Configure(func(s *certinexttest.Server) { s.BeforeCall = once(certinexttest.OpCreateSSL, 1, v.crash) })
	_, err := v.send("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	require.Error(t, err)
	waitUntil(t, 10*time.Second, "the server has crashed", v.process.ended)
	require.Empty(t, ca.Orders())

	v.restart()
	reason := v.refused("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	require.Contains(t, reason, "not known yet whether CERTInext took the order")
	require.Equal(t, "unresolved", v.read("certinext/orders/web/" + orderID.FindString(reason))["state"])
	require.Positive(t, ca.Calls()[certinexttest.OpOrdersReport], "the CA's records were not looked at")
	require.Empty(t, ca.Orders())
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com", "request_id": "way-out"}))
	ca.onlyOrder(t)
}

// onCall runs act when the CA has done what the n-th call of op asks, before it answers.
func onCall(ca *authority, op string, n int, act func()) {
	ca.Configure(func(s *certinexttest.Server) { s.AfterCall = once(op, n, act) })
}

func once(op string, n int, act func()) func(string, *http.Request) {
	var mu sync.Mutex
	return func(called string, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if called != op {
			return
		}
		if n--; n == 0 {
			act()
		}
	}
}
