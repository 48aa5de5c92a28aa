// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// replacing is renewing with new orders, three days after which the certificates that they replace are revoked.
func replacing(t *testing.T, more map[string]any) *mount {
	role := map[string]any{"renewal": "order", "revoke_replaced_after": "72h"}
	for name, value := range more {
		role[name] = value
	}
	return renewing(t, role)
}

// rests sleeps, and runs a pass an hour.
func (m *mount) rests(d time.Duration) {
	m.t.Helper()
	for range d / time.Hour {
		time.Sleep(time.Hour)
		m.pass()
	}
}

func (m *mount) certificate(answer map[string]any) map[string]any {
	m.t.Helper()
	return m.read("cert/" + answer["serial_number"].(string)).Data
}

func TestAReplacedCertificateIsRevoked(t *testing.T) {
	for name, how := range map[string]func(m *mount, first map[string]any) *logical.Response{
		"by renew": func(m *mount, first map[string]any) *logical.Response {
			return m.write("renew/web/"+first["serial_number"].(string), nil)
		},
		"by issue when it is due": func(m *mount, _ map[string]any) *logical.Response {
			time.Sleep(140 * day)
			return m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := replacing(t, nil)
				first := m.issue("www.example.com")
				m.rests(2 * time.Hour)
				require.Empty(t, m.certificate(first)["revoke_at"])
				second := how(m, first)
				at := time.Now().Add(3 * day)
				require.NotEqual(t, first["serial_number"], second.Data["serial_number"])
				require.Contains(t, strings.Join(second.Warnings, " "), "certificate "+first["serial_number"].(string)+
					", which this one replaces, is to be revoked at "+at.UTC().Format(time.RFC3339))
				shown, err := time.Parse(time.RFC3339, m.certificate(first)["revoke_at"].(string))
				require.NoError(t, err)
				require.WithinDuration(t, at, shown, time.Second)

				m.rests(71 * time.Hour)
				require.Zero(t, m.certificate(first)["revocation_time"], "before its time")
				m.start()
				m.rests(3 * time.Hour)
				revoked := m.certificate(first)
				require.NotZero(t, revoked["revocation_time"])
				require.Equal(t, "superseded", revoked["revocation_reason"])
				require.Zero(t, m.certificate(second.Data)["revocation_time"])
			})
		})
	}
}

func TestWhatWasReplacedIsNotRevokedForAllThat(t *testing.T) {
	for name, test := range map[string]struct {
		role   map[string]any
		before func(m *mount, first, second map[string]any)
	}{
		"kept": {before: func(m *mount, first, _ map[string]any) {
			kept := m.write("revoke/web", map[string]any{"serial_number": first["serial_number"], "keep": true}).Data
			require.Equal(m.t, "kept", kept["state"])
			require.Empty(m.t, m.certificate(first)["revoke_at"])
		}},
		"its replacement was revoked": {before: func(m *mount, _, second map[string]any) {
			m.write("revoke/web", map[string]any{"serial_number": second["serial_number"]})
		}},
		"within its subscription": {role: map[string]any{"renewal": "reissue"}, before: func(m *mount, first, _ map[string]any) {
			require.Empty(m.t, m.certificate(first)["revoke_at"])
		}},
		"it has a lease that runs": {role: map[string]any{"generate_lease": true}, before: func(*mount, map[string]any, map[string]any) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := replacing(t, test.role)
				first := m.issue("www.example.com")
				m.rests(2 * time.Hour)
				second := m.write("renew/web/"+first["serial_number"].(string), nil).Data
				test.before(m, first, second)
				m.rests(80 * time.Hour)
				require.Zero(t, m.certificate(first)["revocation_time"])
				require.False(t, m.certificate(first)["revocation_queued"].(bool))
			})
		})
	}
}

// A certificate that nobody asked to renew, and that is not due, may be in use by another client of the same identity.
func TestACertificateThatIsNotDueIsNotReplacedByIssue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacing(t, nil)
		first := m.issue("www.example.com")
		m.rests(2 * time.Hour)
		second := m.issue("www.example.com")
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		m.rests(80 * time.Hour)
		require.Zero(t, m.certificate(first)["revocation_time"])
	})
}

// A replacement whose answer was lost counts from the answer that arrived.
func TestAReplacementThatWasNotHandedOverRevokesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacing(t, nil)
		first := m.issue("www.example.com")
		m.rests(2 * time.Hour)
		path := "renew/web/" + first["serial_number"].(string)
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "lease/") {
				return errors.New("no room")
			}
			return nil
		})
		second := m.write(path, nil)
		require.Empty(t, m.certificate(first)["revoke_at"], "what could not be stored is not said")
		m.storage.failing(nil)
		m.rests(2 * time.Hour)
		require.NotEmpty(t, m.certificate(first)["revoke_at"], "it is stored before the order is closed")
		m.rests(73 * time.Hour)
		require.NotZero(t, m.certificate(first)["revocation_time"])
		require.Zero(t, m.certificate(second.Data)["revocation_time"])
	})
}

func TestOnlyItsRequesterKeepsAReplacedCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := replacing(t, nil)
		first := m.issue("www.example.com")
		keep := map[string]any{"serial_number": first["serial_number"], "keep": true}
		resp, err := m.send(call{op: logical.UpdateOperation, path: "revoke/web", data: keep, entity: "another"})
		require.NoError(t, err)
		require.True(t, resp.IsError())
		require.Contains(t, resp.Error().Error(), "was placed by another requester")
		require.Contains(t, m.refused("revoke/web", map[string]any{"serial_number": first["serial_number"], "keep": true, "reason": "superseded"}), "does not go with reason")
		m.write("revoke", keep)
		m.write("revoke/web", map[string]any{"serial_number": first["serial_number"]})
		require.Contains(t, m.refused("revoke/web", keep), "is revoked")
	})
}
