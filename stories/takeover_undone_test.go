// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestManyTakeOneOverWithoutAReuseWindow(t *testing.T) {
	for name, alive := range map[string]time.Duration{"open": 0, "closed": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": "0s"}})
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(alive)
				m.endLease(first)
				m.waits(time.Minute)
				m.storage.failing(func(string) error { time.Sleep(100 * time.Millisecond); return nil })
				var wg sync.WaitGroup
				for range 8 {
					wg.Go(func() { m.write("sign/web", request) })
				}
				wg.Wait()
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

func TestALeaseThatEndsBeforeTheClockIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "6h", "max_ttl": "6h"}})
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		secret := leased(first)
		m.waits(5*time.Hour + 50*time.Minute)
		time.Sleep(10*time.Minute + 10*time.Second) // Vault is away
		m.start()
		m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: secret})
		second := m.write("sign/web", request)
		require.Equal(t, serialOf(first), serialOf(second))
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestALeaseThatEndsWhileTheClockIsInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "6h", "max_ttl": "6h"}})
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		secret := leased(first)
		m.waits(2 * time.Hour)
		m.later(90 * time.Minute)
		m.waits(4*time.Hour + time.Minute)
		m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: secret})
		m.waits(30 * time.Minute)
		second := m.write("sign/web", request)
		require.Equal(t, serialOf(first), serialOf(second))
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestHangUpsOfATakeover(t *testing.T) {
	for _, window := range []string{"0s", "5m"} {
		for name, alive := range map[string]time.Duration{"open": 0, "closed": time.Hour} {
			for _, between := range []time.Duration{0, time.Minute} {
				t.Run(window+name+between.String(), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := delayed(t, validated(certinexttest.Live))
						m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_window": window}})
						request := signing(t, "www.example.com")
						first := m.write("sign/web", request)
						m.waits(alive)
						m.endLease(first)
						m.waits(10 * time.Minute)
						for range 2 {
							ctx, cancel := context.WithCancel(t.Context())
							m.storage.reset()
							m.storage.failing(func(key string) error {
								if strings.HasPrefix(key, "cert/") {
									cancel()
								}
								return nil
							})
							resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", data: request, ctx: ctx})
							m.storage.failing(nil)
							t.Log(err, resp.IsError(), m.storage.writes(), m.read("cert/" + serialOf(first)).Data["revocation_held_until"])
							require.Len(t, m.ca.Orders(), 1)
							time.Sleep(between)
						}
						require.Equal(t, serialOf(first), serialOf(m.write("sign/web", request)))
						require.Len(t, m.ca.Orders(), 1)
					})
				})
			}
		}
	}
}

func TestAHangUpOfATakeoverIsUndoneInStorage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := delayed(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"delivery_grace": "1h"}})
		first := m.write("issue/web", www)
		m.endLease(first)
		m.waits(10 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				cancel()
			}
			return nil
		})
		_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www, ctx: ctx})
		m.storage.failing(nil)
		require.NotEmpty(t, m.read("cert/" + serialOf(first)).Data["revocation_held_until"], "nobody has it: the delay goes on")
		m.waits(10 * time.Minute)
		require.Equal(t, serialOf(first), serialOf(m.write("issue/web", www)))
	})
}

// Its caller has gone, so it keeps no certificate from being revoked.
func TestAnUnleasedAnswerThatIsHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": false}})
		ctx, cancel := context.WithCancel(t.Context())
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				cancel()
			}
			return nil
		})
		resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", data: request, ctx: ctx})
		m.storage.failing(nil)
		require.True(t, err != nil || resp.IsError(), "not hung up")
		m.waits(time.Hour)
		m.endLease(first)
		m.waits(6 * time.Hour)
		require.Equal(t, 1, m.revokedAtCA(), "nobody has it, and its last lease has ended")
	})
}

// hangsUp sends a request whose client hangs up when its certificate is stored as handed over.
func (m *mount) hangsUp(path string, data map[string]any) {
	m.t.Helper()
	ctx, cancel := context.WithCancel(m.t.Context())
	m.storage.failing(func(key string) error {
		if strings.HasPrefix(key, "cert/") {
			cancel()
		}
		return nil
	})
	resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: data, ctx: ctx})
	m.storage.failing(nil)
	require.True(m.t, err != nil || resp.IsError(), "not hung up")
}

// The role has no leases any more when the certificate is taken over, and the caller has gone before it is answered: so
// the delay goes on, and ends in the revocation.
func TestAnUnleasedTakeoverThatIsHungUp(t *testing.T) {
	slow := func(m *mount, request map[string]any) {
		// The answer of the first process is in the certificate's entry alone, so this one drives the order.
		m.start()
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"issue_timeout": "2s"}})
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				time.Sleep(time.Minute)
			}
			return nil
		})
		resp, err := m.attempt("sign/web", request)
		require.True(m.t, err != nil || resp.IsError(), "not too slow")
		time.Sleep(3 * time.Minute)
	}
	hangUp := func(m *mount, request map[string]any) { m.hangsUp("sign/web", request) }
	for name, c := range map[string]struct {
		alive time.Duration
		leave func(*mount, map[string]any)
	}{
		"its order is open":      {leave: hangUp},
		"its order was closed":   {alive: time.Hour, leave: hangUp},
		"storage is slow":        {leave: slow},
		"storage is slow, later": {alive: time.Hour, leave: slow},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(c.alive)
				m.endLease(first)
				if c.alive > 0 {
					m.waits(10 * time.Minute)
				}
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": false}})
				c.leave(m, request)
				m.storage.failing(nil)
				require.NotEmpty(t, m.read("cert/" + serialOf(first)).Data["revocation_held_until"], "nobody has it: the delay goes on")
				m.waits(6 * time.Hour)
				require.Equal(t, 1, m.revokedAtCA(), "its last lease has ended, and nobody has it")
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// The role has no delay any more when the certificate is taken over: nothing is left of the delay, or all of it where nobody was answered.
func TestATakeoverAfterTheRolesDelayIsGone(t *testing.T) {
	for name, hangsUp := range map[string]bool{"answered": false, "hung up": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, validated(certinexttest.Live))
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(time.Hour)
				m.endLease(first)
				m.waits(10 * time.Minute)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revocation_delay": 0}})
				if hangsUp {
					m.hangsUp("sign/web", request)
					require.NotEmpty(t, m.read("cert/" + serialOf(first)).Data["revocation_held_until"], "nobody has it: the delay goes on")
				}
				second := m.write("sign/web", request)
				require.Equal(t, serialOf(first), serialOf(second))
				m.requireNoIndex()
				m.endLease(second)
				require.Equal(t, 1, m.revokedAtCA())
				m.requireNoIndex()
			})
		})
	}
}
