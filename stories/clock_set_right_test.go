// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The clock is behind when a request is answered, and is set right before the same request comes again, within the window by any
// clock that was not set in between.
func TestAClockThatIsSetRightEndsNoReuse(t *testing.T) {
	restart := func(m *mount) { m.start() }
	for name, c := range map[string]struct {
		behind time.Duration
		role   map[string]any
		before func(*mount) // the clock is behind, and the certificate is not answered yet
		after  func(*mount) // the clock was set right
	}{
		"in one process":                         {behind: twoMonths},
		"before a restart":                       {behind: twoMonths, after: restart},
		"by less than what is in doubt":          {behind: 50 * time.Minute},
		"by less, before a restart":              {behind: 50 * time.Minute, after: restart},
		"an answer of a process that has died":   {behind: twoMonths, role: map[string]any{"reuse_window": 0}, after: restart},
		"by a process that has not asked":        {behind: twoMonths, before: storedFirst},
		"by one that has not asked, and is gone": {behind: twoMonths, before: storedFirst, after: restart},
	} {
		for kind, request := range map[string]func(*testing.T) (string, map[string]any){
			"issue": func(*testing.T) (string, map[string]any) { return "issue/web", www },
			"sign":  func(t *testing.T) (string, map[string]any) { return "sign/web", signing(t, "www.example.com") },
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := newMount(t, monthly(certinexttest.Live))
					if c.role != nil {
						m.must(call{op: logical.PatchOperation, path: "roles/web", data: c.role})
					}
					path, data := request(t)
					m.later(-c.behind)
					m.start()
					if c.before != nil {
						m.write("orders/web", data)
						c.before(m)
					}
					first := m.write(path, data)
					time.Sleep(time.Minute)
					m.later(c.behind)
					if c.after != nil {
						c.after(m)
					}
					m.pass()
					time.Sleep(time.Minute)
					second := m.write(path, data)
					require.Len(t, m.ca.Orders(), 1)
					require.Equal(t, serialOf(first), serialOf(second))
					require.Equal(t, true, second.Data["reused"])
					m.waits(time.Hour)
					fresh := m.write(path, data)
					require.Equal(t, false, fresh.Data["reused"], "the window ends all the same")
				})
			})
		}
	}
}

// storedFirst has the certificate stored, and then another process, which has had no answer from CERTInext yet.
func storedFirst(m *mount) {
	time.Sleep(time.Minute)
	m.pass()
	m.start()
}

// A clock that is a little behind keeps a window, and a key, no longer.
func TestAClockThatIsALittleBehindKeepsTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.later(-50 * time.Minute)
		m.start()
		m.write("issue/web", www)
		time.Sleep(10 * time.Minute)
		require.Equal(t, false, m.write("issue/web", www).Data["reused"])
		for range 10 {
			time.Sleep(time.Minute)
			m.pass()
		}
		for key, value := range m.storage.dump(t) {
			require.NotContains(t, string(value), "PRIVATE KEY", key)
		}
	})
}

// The delay begins while the clock is behind, and ends when it is over by one that is right.
func TestADelayThatBeganByAClockBehindIsNotSkipped(t *testing.T) {
	for name, c := range map[string]struct {
		behind time.Duration
		ask    bool // CERTInext, before the lease ends
		again  bool // the process begins anew before the clock is set right
	}{
		"known":                {behind: twoMonths, ask: true},
		"known, and restarted": {behind: twoMonths, ask: true, again: true},
		"unknown":              {behind: twoMonths},
		"unknown, restarted":   {behind: twoMonths, again: true},
		"a little":             {behind: 50 * time.Minute, ask: true},
		"a little, restarted":  {behind: 50 * time.Minute, ask: true, again: true},
		"not at all":           {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := delayed(t, monthly(certinexttest.Live))
				request := signing(t, "www.example.com")
				first := m.write("sign/web", request)
				m.waits(time.Hour)
				m.later(-c.behind)
				m.start()
				if c.ask {
					m.read("config/check")
				}
				m.endLease(first)
				m.later(c.behind)
				if c.again {
					m.start()
				}
				m.waits(110 * time.Minute)
				require.Zero(t, m.revokedAtCA(), "the delay is two hours")
				require.Equal(t, serialOf(first), serialOf(m.write("sign/web", request)))
				require.Len(t, m.ca.Orders(), 1)
				m.waits(time.Hour)
				require.Zero(t, m.revokedAtCA(), "it was taken over")
			})
		})
	}
}

// And ends no later.
func TestADelayThatBeganByAClockBehindEnds(t *testing.T) {
	for name, behind := range map[string]time.Duration{"two months": twoMonths, "a little": 50 * time.Minute, "right": 0} {
		for _, setRight := range []bool{true, false} {
			if !setRight && behind == twoMonths {
				continue // while the clock is in doubt, time alone revokes nothing
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := delayed(t, monthly(certinexttest.Live))
					first := m.write("issue/web", www)
					m.later(-behind)
					m.start()
					m.endLease(first)
					m.pass()
					if setRight {
						m.later(behind)
					}
					m.waits(110 * time.Minute)
					require.Zero(t, m.revokedAtCA())
					m.waits(30 * time.Minute)
					require.Equal(t, 1, m.revokedAtCA())
				})
			})
		}
	}
}

// Vault ends a lease while the clock is ahead, so that it may be over by that alone: it counts until its end, and whoever asks for the
// certificate again takes it over, also after the clock was set right.
func TestALeaseThatEndedWhileTheClockWasAheadIsTakenOver(t *testing.T) {
	for name, other := range map[string]bool{"the only lease": false, "beside another one": true} {
		for _, hangsUp := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := delayed(t, monthly(certinexttest.Live))
					m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "24h", "max_ttl": "24h"}})
					request := signing(t, "www.example.com")
					first := m.write("sign/web", request)
					ended := []*logical.Response{first}
					if other {
						ended = append(ended, m.write("sign/web", request))
					}
					m.waits(time.Hour)
					m.later(20 * 24 * time.Hour)
					m.read("config/check")
					for _, resp := range ended {
						m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: leased(resp)})
					}
					m.waits(30 * time.Minute)
					m.later(-20 * 24 * time.Hour)
					m.waits(time.Hour)
					if hangsUp {
						m.hangsUp("sign/web", request)
						m.waits(30 * time.Minute)
					}
					second := m.write("sign/web", request)
					require.Equal(t, serialOf(first), serialOf(second))
					require.Len(t, m.ca.Orders(), 1)
					m.waits(25 * time.Hour)
					require.Zero(t, m.revokedAtCA(), "the second one's lease is over, and its delay is not")
					m.waits(2 * time.Hour)
					require.Equal(t, 1, m.revokedAtCA())
				})
			})
		}
	}
}
