// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// When Vault cannot store the lease of an answer, since the caller has hung up, it answers an error and ends the lease at
// once. What tells that from any other end is that the lease has no time of issue (vault/expiration.go, Register and
// revokeEntry).
func TestAnAnswerWhoseLeaseVaultCouldNotStoreIsGivenAgain(t *testing.T) {
	for name, request := range map[string]map[string]any{
		"a request without a name": {"common_name": "www.example.com"},
		"a request with a name":    {"common_name": "www.example.com", "request_id": "deploy-1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				lost := m.write("issue/web", request)
				m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: lost.Secret})
				require.Equal(t, "issued", ca.Orders()[0].Status, "nobody asked for a revocation")

				m.endLease(lost) // Vault may find that it has half of the lease when it is unsealed the next time
				require.Equal(t, "issued", ca.Orders()[0].Status, "the certificate is nobody's yet")

				time.Sleep(time.Hour) // longer than the grace: it has not been handed over
				m.pass()
				again := m.write("issue/web", request)
				require.Equal(t, lost.Data["certificate"], again.Data["certificate"])
				require.Equal(t, lost.Data["private_key"], again.Data["private_key"])
				require.Len(t, ca.Orders(), 1)
				m.endLease(again)
				require.Equal(t, "revoked", ca.Orders()[0].Status, "the lease that was stored counts alone")
			})
		})
	}
}

// A server that names no lease's time must not keep certificates from being revoked.
func TestALeaseWithoutATimeThatEndsLaterIsALease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		resp := m.write("issue/web", www)
		time.Sleep(3 * time.Minute)
		m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: resp.Secret})
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

// Of two answers with one certificate, the one that was lost takes nothing from the other.
func TestALeaseThatVaultCouldNotStoreLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		request := map[string]any{"common_name": "www.example.com", "request_id": "deploy-1"}
		first, lost := m.write("issue/web", request), m.write("issue/web", request)
		require.Equal(t, first.Data["serial_number"], lost.Data["serial_number"])
		m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: lost.Secret})
		require.Equal(t, "issued", ca.Orders()[0].Status)
		m.endLease(first)
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

func TestACollectWhoseAnswerWasLostIsAnsweredAgainWithinTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		collect := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string) + "/collect"
		lost, again := m.write(collect, nil), m.write(collect, nil)
		require.Equal(t, lost.Data["certificate"], again.Data["certificate"])
		require.Equal(t, lost.Data["private_key"], again.Data["private_key"])
		require.Len(t, ca.Orders(), 1)

		time.Sleep(6 * time.Minute)
		require.Contains(t, m.refused(collect, nil), "collected already")
	})
}

// The process may die between any two writes.
func TestARevocationThatIsCutShortIsListedWhenItIsAskedForAgain(t *testing.T) {
	for _, prefix := range []string{"cert/", "revoked/"} {
		t.Run("writing "+prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				serial := m.write("issue/web", www).Data["serial_number"].(string)
				m.storage.failing(func(key string) error {
					if strings.HasPrefix(key, prefix) {
						return errors.New("the process dies")
					}
					return nil
				})
				revoke := call{op: logical.UpdateOperation, path: "revoke/web", data: map[string]any{"serial_number": serial}}
				_, err := m.send(revoke)
				require.Error(t, err)
				m.storage.failing(nil)
				m.start()
				require.Equal(t, "revoked", m.must(revoke).Data["state"])
				require.Equal(t, []string{serial}, m.list("certs/revoked"))
				require.NotZero(t, m.read("cert/" + serial).Data["revocation_time"])
			})
		})
	}
}

// The CA has taken the revocation and the process has died before it could store that. To the next process the order looks
// open, and CERTInext says that it is revoked.
func TestARevocationThatTheProcessDidNotLiveToStoreIsKnownAfterwards(t *testing.T) {
	for name, find := range map[string]func(m *mount, order string){
		"by asking again": func(m *mount, order string) {
			require.Equal(m.t, "revoked", m.write("revoke/web", map[string]any{"order_id": order}).Data["state"])
		},
		"by the background pass": func(m *mount, _ string) {
			m.passes(2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				m := newMount(t, ca)
				m.write("issue/web", map[string]any{"common_name": "another.example.com"})
				issued := m.write("issue/web", www).Data
				m.storage.failing(func(key string) error {
					if strings.HasPrefix(key, "revocation/") {
						return nil // the intent, before CERTInext is asked
					}
					return errors.New("the process dies")
				})
				_, err := m.send(call{op: logical.UpdateOperation, path: "revoke/web", data: map[string]any{"serial_number": issued["serial_number"], "reason": "superseded"}})
				require.Error(t, err)
				require.Equal(t, "revoked", ca.Orders()[1].Status)
				m.storage.failing(nil)
				m.start()
				find(m, issued["order_id"].(string))
				require.Equal(t, []string{issued["serial_number"].(string)}, m.list("certs/revoked"))
				require.NotZero(t, m.read("cert/" + issued["serial_number"].(string)).Data["revocation_time"])
				order := m.read("orders/web/" + issued["order_id"].(string)).Data
				require.Equal(t, "issued", order["state"])
				require.Equal(t, true, order["delivered"])
				require.Equal(t, issued["serial_number"], order["serial_number"])
			})
		})
	}
}
