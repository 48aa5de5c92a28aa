// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// silentServers are n resolvers that never answer.
func silentServers(t *testing.T, n int) string {
	var all []string
	for range n {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		all = append(all, c.LocalAddr().String())
	}
	return strings.Join(all, ",")
}

// names asks for n names of one order.
func names(order, n int) map[string]any {
	var alt []string
	for i := range n {
		alt = append(alt, fmt.Sprintf("n%d.o%d.example.com", i, order))
	}
	return map[string]any{"common_name": alt[0], "alt_names": strings.Join(alt[1:], ",")}
}

func noDeletes(t *testing.T, to string, mended *atomic.Bool) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var n uint16
				if binary.Read(c, binary.BigEndian, &n) != nil {
					return
				}
				body := make([]byte, n)
				if _, err := io.ReadFull(c, body); err != nil {
					return
				}
				m := new(dns.Msg)
				if m.Unpack(body) == nil {
					for _, rr := range m.Ns {
						if rr.Header().Class == dns.ClassNONE && !mended.Load() {
							time.Sleep(30 * time.Second)
							return
						}
					}
				}
				up, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				defer up.Close()
				_ = binary.Write(up, binary.BigEndian, n)
				_, _ = up.Write(body)
				_, _ = io.Copy(c, up)
			}()
		}
	}()
	return l.Addr().String()
}

func TestASolverThatHasGivenUpForNowStillSaysWhy(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"tsig_secret": "c29tZSBvdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4u"}})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "7s", "dcv_hosts": "_emudhra-challenge.{domain}"})
	text := z.refused("issue/web", map[string]any{"common_name": "www.example.com"})
	o := z.onlyOrder("web")
	require.Contains(t, text, "the solver corp failed at publishing")
	require.Equal(t, "operator", o["waits_for"])
}

func TestAnOrderThatIsOnlyPlacedDoesNotWaitForTheSolver(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.role("web", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "dcv_resolvers": silentServers(t, 3), "issue_timeout": "5s"})
	begun := time.Now()
	z.write("orders/web", names(0, 13))
	require.Less(t, time.Since(begun), 10*time.Second)
}

// TestAnOrderThatIsOnlyAskedAboutIsValidated asks more often than the background pass comes, which never gets a turn here.
func TestAnOrderThatIsOnlyAskedAboutIsValidated(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv"})
	id := z.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
	require.Eventually(t, func() bool {
		resp, err := z.send(call{op: logical.UpdateOperation, path: "orders/web/" + id + "/collect"})
		return err == nil && resp != nil && resp.Data["certificate"] != nil
	}, 15*time.Second, 100*time.Millisecond)
	z.requireClean("example.com")
}

// TestWhoAsksOftenLearnsWhatHoldsTheSolverUp asks, and has somebody else ask who may not, which must not have the solver begin anew.
func TestWhoAsksOftenLearnsWhatHoldsTheSolverUp(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"tsig_secret": "c29tZSBvdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4u"}})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_hosts": "_emudhra-challenge.{domain}"})
	id := z.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data["order_id"].(string)
	collect := call{op: logical.UpdateOperation, path: "orders/web/" + id + "/collect"}
	require.Eventually(t, func() bool { return z.onlyOrder("web")["waits_for"] == "operator" }, 15*time.Second, 100*time.Millisecond)
	asked := z.ca.Calls()[certinexttest.OpDCV]
	for range 3 {
		other := collect
		other.accessor = "other"
		resp, err := z.send(other)
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "another requester")
		resp, err = z.send(collect)
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "the solver corp failed at publishing")
		time.Sleep(500 * time.Millisecond)
	}
	o := z.onlyOrder("web")
	require.Equal(t, "operator", o["waits_for"])
	require.Contains(t, o["last_error"], "NOTAUTH")
	require.Equal(t, asked, z.ca.Calls()[certinexttest.OpDCV], "the solver began anew")
}

// TestOrdersBehindRequestsAreFew places many that would all have their solver work at once, and asks for one of them again.
func TestOrdersBehindRequestsAreFew(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_resolvers": silentServers(t, 3), "issue_timeout": "10s"})
	var ids []string
	for i := range 12 {
		ids = append(ids, z.write("orders/web", map[string]any{"common_name": fmt.Sprintf("n%d.example.com", i)}).Data["order_id"].(string))
	}
	begun := time.Now()
	again := z.write("orders/web", map[string]any{"common_name": "n0.example.com"})
	require.Less(t, time.Since(begun), 5*time.Second, "who does not wait for an order waits for its solver")
	require.Equal(t, ids[0], again.Data["order_id"])

	busy := 0
	for _, id := range ids[1:] {
		resp, err := z.send(call{op: logical.DeleteOperation, path: "orders/web/" + id})
		require.NoError(t, err)
		if resp.IsError() {
			require.ErrorContains(t, resp.Error(), "is being worked on at this moment")
			busy++
		}
	}
	require.LessOrEqual(t, busy, 4)
}

func TestACertificateIsNotHeldBackByTheCleaningUp(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"server": noDeletes(t, z.dns.Addr, new(atomic.Bool))}})
	z.role("web", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "issue_timeout": "15s"})
	resp, err := z.send(call{op: logical.UpdateOperation, path: "issue/web", data: names(0, 6)})
	require.NoError(t, err)
	require.False(t, resp.IsError())
}

// The answer has gone out while records are still in the DNS, and the process that was removing them dies.
func TestWhatAnAnswerHasLeftInTheDNSGoesAfterACrash(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	mended := new(atomic.Bool)
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"server": noDeletes(t, z.dns.Addr, mended)}})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "15s"})
	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	require.NotEmpty(t, z.dns.Challenges("example.com"), "the answer has waited for the removal")
	z.die()
	z.start()
	mended.Store(true)
	z.later(time.Hour)
	z.pass()
	z.requireClean("example.com")
	require.Len(t, z.ca.Orders(), 1)
}
