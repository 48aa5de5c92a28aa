// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestARevocationThatAnOperatorEndedStaysEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		first, second := m.write("issue/web", www), m.write("issue/web", www)
		r := m.restored()
		r.endLease(first)
		serial := first.Data["serial_number"].(string)
		require.Len(t, r.list("certs/revocation-queue"), 1)
		r.write("operator/revocations/"+serial, map[string]any{"end": true, "reason": "renewed after the snapshot"})
		require.Empty(t, r.list("certs/revocation-queue"))
		r.endLease(second)
		t.Log("queue after the second lease's end:", r.list("certs/revocation-queue"))
		r.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client()}) // released
		r.passes(3)
		require.Zero(t, r.revokedAtCA(), "an operator ended it")
	})
}

func TestARevocationStaysEndedWhenVaultTellsItsEndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		first := m.write("issue/web", www)
		r := m.restored()
		r.endLease(first)
		serial := first.Data["serial_number"].(string)
		r.write("operator/revocations/"+serial, map[string]any{"end": true, "reason": "renewed after the snapshot"})
		r.endLease(first)
		r.startWithOptions(certinextsecrets.Options{HTTPClient: m.ca.Client()}) // released
		r.passes(3)
		require.Zero(t, r.revokedAtCA(), "an operator ended it")
	})
}

func TestAStrandedRevocationThatWasEndedStaysEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		first, second := m.write("issue/web", www), m.write("issue/web", www)
		m.must(call{op: logical.UpdateOperation, path: "config", data: m.movedAway(true)})
		m.endLease(first)
		m.write("operator/revocations/"+first.Data["serial_number"].(string), map[string]any{"end": true, "reason": "x"})
		m.endLease(second)
		m.write("config", m.account())
		m.passes(3)
		require.Zero(t, m.revokedAtCA())
	})
}

func TestALeaseEndsAlthoughItsMarkCannotBeStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revocation_delay": "2h"}})
		issued := m.write("issue/web", www)
		m.storage.cutOff("held-back/")
		_, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(issued)})
		t.Log(err)
		require.Len(t, m.list("certs/revocation-queue"), 1)
	})
}

func TestEveryWriteOfALeasesEndMayFail(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		for n := range 8 {
			m := newMount(t, validated(dialect))
			issued := m.write("issue/web", map[string]any{"common_name": "a.example.com"})
			i := 0
			m.storage.cutBy(func(string) error {
				i++
				if i == n+1 {
					return errors.New("storage")
				}
				return nil
			})
			for range 6 {
				if _, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(issued)}); err == nil {
					break
				}
			}
			for range 40 {
				_, _ = m.send(call{op: logical.RollbackOperation, data: map[string]any{"immediate": true}})
				time.Sleep(time.Minute)
			}
			require.Equal(t, 1, m.revokedAtCA(), n)
			require.Empty(t, m.list("certs/revocation-queue"), n)
			require.Len(t, m.list("certs/revoked"), 1, n)
		}
	})
}
