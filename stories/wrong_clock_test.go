// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
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

// lostCalls loses the next call that hold picks, and counts it.
type lostCalls struct {
	next http.RoundTripper
	mu   sync.Mutex
	hold func(r *http.Request) bool
	lost int
}

func (l *lostCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hold != nil && l.hold(r) {
		l.hold, l.lost = nil, l.lost+1
		return nil, errors.New("connection reset by peer")
	}
	l.mu.Unlock()
	resp, err := l.next.RoundTrip(r)
	l.mu.Lock()
	return resp, err
}

// lostCalls starts the mount anew behind a client that loses calls.
func (m *mount) lostCalls() *lostCalls {
	l := &lostCalls{next: m.ca.Client().Transport}
	m.backend.Cleanup(m.t.Context())
	m.startWith(&http.Client{Transport: l})
	return l
}

// interrupting does something once, before a read of a key below get.
type interrupting struct {
	logical.Storage
	do  func()
	get string
}

func (s *interrupting) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.get != "" && strings.HasPrefix(key, s.get) {
		s.get = ""
		s.do()
	}
	return s.Storage.Get(ctx, key)
}

// A lost reissue, and this server's clock is two months ahead.
func TestNoReissueIsNeverTakenByThisClockAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		l := m.lostCalls()
		l.hold = func(r *http.Request) bool { return strings.Contains(r.URL.Path, "reissue") }
		order, err := m.attempt("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil)
		require.NoError(t, err)
		require.Equal(t, 1, l.lost)
		require.Equal(t, "unresolved", order.Data["state"])
		m.later(60 * 24 * time.Hour)
		time.Sleep(time.Minute)
		m.pass()
		time.Sleep(time.Minute)
		m.pass()
		require.Equal(t, "unresolved", m.read("orders/web/" + order.Data["order_id"].(string)).Data["state"])
	})
}

// The clock was two months behind when the process began and the reissue was lost, and is set right: it was lost a minute ago.
func TestNoReissueIsNeverTakenByAClockThatIsSetRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, first := reissuing(t, "842")
		m.later(-60 * 24 * time.Hour)
		m.start()
		l := m.lostCalls()
		l.hold = func(r *http.Request) bool { return strings.Contains(r.URL.Path, "reissue") }
		order, err := m.attempt("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil)
		require.NoError(t, err)
		require.Equal(t, 1, l.lost)
		id := order.Data["order_id"].(string)
		m.later(60 * 24 * time.Hour)
		for range 3 {
			time.Sleep(time.Minute)
			m.pass()
		}
		require.Equal(t, "unresolved", m.read("orders/web/" + id).Data["state"])
		time.Sleep(2 * time.Hour)
		m.pass()
		require.Equal(t, "failed", m.read("orders/web/" + id).Data["state"], "by then CERTInext would show it")
	})
}

// The same for an order: another one that is placed a minute later proves nothing, whatever the clock said.
func TestAnOrderAMinuteLaterProvesNothingByAnyClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		m.later(-60 * 24 * time.Hour)
		m.start()
		m.unresolved(certinexttest.FaultDropped)
		m.later(60 * 24 * time.Hour)
		time.Sleep(time.Minute)
		m.write("issue/web", map[string]any{"common_name": "a-minute-later.example.com"})
		require.Contains(t, m.refused("issue/web", www), "not known yet")
		time.Sleep(2 * time.Hour)
		m.write("issue/web", map[string]any{"common_name": "later.example.com"})
		m.chainOK(m.write("issue/web", www))
		require.Equal(t, 1, countOrders(ca, "www.example.com"))
	})
}

// CERTInext remembers an Idempotency-Key for a day. Three days later it is not sent again, whatever this server's clock says.
func TestNoKeyIsSentAgainThatCERTInextHasForgotten(t *testing.T) {
	const days = 24 * time.Hour
	for name, clock := range map[string]struct{ before, after time.Duration }{
		"right":                              {},
		"ahead when it was sent":             {before: 60 * days},
		"set back since":                     {after: -60 * days},
		"set back since, to within the day":  {after: -60 * time.Hour},
		"behind when it was sent, and after": {before: -60 * days, after: -62*days - 12*time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				ca.Idempotency = certinexttest.On
				withoutRecords(ca)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply})
				m := newMount(t, ca)
				m.write("config", map[string]any{"trust_idempotency_key": true})
				m.later(clock.before)
				_, _ = m.attempt("orders/web", www)
				require.Len(t, ca.Orders(), 1)
				ca.ClearFaults()
				withoutRecords(ca)
				time.Sleep(3 * days)
				ca.Configure(func(s *certinexttest.Server) { s.Idempotency = certinexttest.Off })
				m.later(clock.after - clock.before)
				m.start()
				for range 3 {
					m.pass()
					_, _ = m.attempt("issue/web", www)
					time.Sleep(10 * time.Minute)
				}
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// A process that has not heard CERTInext's clock, and whose own is ahead, hands a certificate over again.
func TestANewProcessForgetsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "24h"}})
		o := m.write("orders/web", www).Data
		m.pass()
		time.Sleep(2 * time.Minute)
		m.pass()
		collect := "orders/web/" + o["order_id"].(string) + "/collect"
		m.write(collect, nil)
		m.start()
		m.later(60 * 24 * time.Hour)
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped})
		second, err := m.attempt(collect, nil)
		require.NoError(t, err)
		require.False(t, second.IsError())
		m.later(-60 * 24 * time.Hour)
		ca.ClearFaults()
		time.Sleep(time.Minute)
		m.pass()
		m.endLease(second)
		m.passes(2)
		require.Equal(t, "issued", ca.Orders()[0].Status, "the first lease lives for 24 hours")
	})
}

// A certificate came while the clock was behind, which was set right then.
func TestACertificateThatCameByAClockThatWasBehind(t *testing.T) {
	for name, behind := range map[string]time.Duration{"two months": 60 * 24 * time.Hour, "not at all": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revoke_unclaimed": true}})
				m.later(-behind)
				o := m.write("orders/web", www).Data
				for range 3 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				require.Equal(t, "issued", m.read("orders/web/" + o["order_id"].(string)).Data["state"])
				m.later(behind)
				for range 5 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				require.Equal(t, "issued", ca.Orders()[0].Status, "revoked")
				got, err := m.attempt("orders/web/"+o["order_id"].(string)+"/collect", nil)
				require.NoError(t, err)
				require.False(t, got.IsError(), "its key is gone")
			})
		})
	}
}

// By this server's clock the certificate that would be reissued has expired.
func TestNothingIsBoughtByAClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		ca.IssueDelay = 10 * time.Second
		m := rekeying(t, ca, nil)
		_, first := freshCSR(t, "www.example.com")
		_, _ = m.attempt("sign/web", first)
		time.Sleep(2 * time.Minute)
		m.pass()
		m.later(60 * 24 * time.Hour)
		_, second := freshCSR(t, "www.example.com")
		for range 3 {
			time.Sleep(time.Minute)
			_, _ = m.attempt("sign/web", second)
		}
		require.Len(t, ca.Orders(), 1)
	})
}

// The clock is ahead when a delivery begins, and is set right in the middle of it.
func TestTheClockIsSetRightInTheMiddleOfADelivery(t *testing.T) {
	for name, what := range map[string]func(m *mount, path string){
		"issue": func(m *mount, _ string) {
			_, _ = m.attempt("issue/web", www)
		},
		"collect": func(m *mount, path string) { _, _ = m.attempt(path, nil) },
		"pass":    func(m *mount, _ string) { m.pass() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				o := m.write("orders/web", www).Data
				time.Sleep(2 * time.Minute)
				m.pass()
				path := "orders/web/" + o["order_id"].(string) + "/collect"
				first := m.write(path, nil)
				s := &interrupting{Storage: m.storage.under(), get: "revocation/"}
				s.do = func() { m.later(-60 * 24 * time.Hour) }
				m.later(60 * 24 * time.Hour)
				m.storage.lay(s)
				what(m, path)
				m.storage.lay(s.Storage)
				again, err := m.attempt(path, nil)
				require.NoError(t, err)
				require.False(t, again.IsError())
				require.Equal(t, first.Data["serial_number"], again.Data["serial_number"])
				require.Len(t, ca.Orders(), 1)
			})
		})
	}
}

// CERTInext is slow, and a request needs its clock: it waits no longer than for its order.
func TestNobodyWaitsLongForTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"issue_timeout": "1s"}})
		m.write("orders/web", www)
		time.Sleep(2 * time.Minute)
		m.pass()
		m.write("issue/web", www)
		m.start()
		m.later(60 * 24 * time.Hour)
		ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: 10 * time.Minute})
		before := time.Now()
		_, err := m.attempt("issue/web", www)
		took := time.Since(before)
		time.Sleep(20 * time.Minute)
		require.NoError(t, err)
		require.LessOrEqual(t, took, 3*time.Second)
	})
}
