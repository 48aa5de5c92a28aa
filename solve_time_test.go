// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
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

func noDeletes(t *testing.T, to string) string {
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
						if rr.Header().Class == dns.ClassNONE {
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

func TestACertificateIsNotHeldBackByTheCleaningUp(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"server": noDeletes(t, z.dns.Addr)}})
	z.role("web", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "issue_timeout": "15s"})
	resp, err := z.send(call{op: logical.UpdateOperation, path: "issue/web", data: names(0, 6)})
	require.NoError(t, err)
	require.False(t, resp.IsError())
}
