// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// manyOrders are the open orders of a busy account.
const manyOrders = 10_000

// A busyServer has manyOrders open orders, each with a CSR, that wait for an approver.
type busyServer struct {
	*certinexttest.Server
	token string
	ids   []string
	csr   string
}

func newBusyServer(t testing.TB, domains ...string) *busyServer {
	t.Helper()
	return newServerOf(t, manyOrders, domains...)
}

func newServerOf(t testing.TB, orders int, domains ...string) *busyServer {
	t.Helper()
	srv := verified(certinexttest.Live)
	srv.VerifiedDomains = append(domains, srv.VerifiedDomains...)
	srv.HoldForApproval = true
	s := &busyServer{Server: srv, csr: csr(t, newKey(t), "www.example.com")}
	s.token = s.login(t)
	for range orders {
		s.create(t)
	}
	for _, o := range srv.Orders() {
		s.ids = append(s.ids, o.ID)
	}
	return s
}

// serve sends a request with no client and no socket in between, so that only the server's own work
// is measured.
func (s *busyServer) serve(t testing.TB, method, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, host+path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w
}

func (s *busyServer) login(t testing.TB) string {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, host+"/oauth/token",
		strings.NewReader("grant_type=client_credentials&client_id=1234567890&client_secret=sandbox-client-secret"))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	_, after, found := strings.Cut(w.Body.String(), `"access_token":"`)
	require.True(t, found, w.Body)
	token, _, _ := strings.Cut(after, `"`)
	return token
}

func (s *busyServer) create(t testing.TB) {
	t.Helper()
	w := s.serve(t, http.MethodPost, sslPath, toJSON(merge(dvOrder("www.example.com"), m{"csr": s.csr})))
	require.Equal(t, http.StatusCreated, w.Code, w.Body)
}

// TestTenThousandOpenOrdersFit: a sandbox that runs for weeks stays small, and as fast as it was.
func TestTenThousandOpenOrdersFit(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newBusyServer(t)
	runtime.GC()
	runtime.ReadMemStats(&after)
	used := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	require.Less(t, used, int64(200), "MiB for %d orders", manyOrders)
	t.Logf("%d orders take %d MiB", manyOrders, used)

	few := newServerOf(t, 100)
	among, amongFew := s.costOfCreating(t), few.costOfCreating(t)
	t.Logf("to create one more takes %v of a processor, %v among a hundred", among, amongFew)
	require.Less(t, among, 2*amongFew, "creating does not depend on how many there are")
}

// costOfCreating is the least that an order has cost of the processors' time, which is little changed
// by what else this machine does.
func (s *busyServer) costOfCreating(t testing.TB) time.Duration {
	t.Helper()
	const orders = 200
	least := time.Hour
	for range 5 {
		runtime.GC() // what was there before is not this one's
		before := processorTime(t)
		for range orders {
			s.create(t)
		}
		least = min(least, (processorTime(t)-before)/orders)
	}
	return least
}

// processorTime is what this process has used so far.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkCreateAmongAHundred(b *testing.B) {
	s := newServerOf(b, 100)
	for b.Loop() {
		s.create(b)
	}
}

func BenchmarkCreateAmongTenThousand(b *testing.B) {
	s := newBusyServer(b)
	for b.Loop() {
		s.create(b)
	}
}

func BenchmarkTrackAmongTenThousand(b *testing.B) {
	s := newBusyServer(b)
	for i := 0; b.Loop(); i++ {
		w := s.serve(b, http.MethodGet, sslPath+"/"+s.ids[i%len(s.ids)], "")
		require.Equal(b, http.StatusOK, w.Code)
	}
}

func BenchmarkV1TrackAmongTenThousand(b *testing.B) {
	s := newBusyServer(b)
	for i := 0; b.Loop(); i++ {
		body := m{"meta": v1Meta(time.Now(), nil), "orderDetails": m{"orderNumber": s.ids[i%len(s.ids)]}}
		w := s.serve(b, http.MethodPost, v1+"TrackOrder", toJSON(body))
		require.Contains(b, w.Body.String(), `"orderStatusId"`)
	}
}

func BenchmarkReportOfTenThousand(b *testing.B) {
	s := newBusyServer(b)
	for i := 0; b.Loop(); i++ {
		w := s.serve(b, http.MethodGet, fmt.Sprintf("%s/reports/orders?page=%d&size=100", api, i%100+1), "")
		require.Equal(b, http.StatusOK, w.Code)
	}
}

// BenchmarkCreateAmongManyDomains: an order among as many domains that are validated, as are those
// of an account that orders for its customers.
func BenchmarkCreateAmongManyDomains(b *testing.B) {
	var domains []string
	for i := range manyOrders {
		domains = append(domains, fmt.Sprintf("customer%d.example", i))
	}
	s := newBusyServer(b, domains...)
	for b.Loop() {
		s.create(b)
	}
}
