// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

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
				m.storage.fail = func(key string) error {
					if strings.HasPrefix(key, prefix) {
						return errors.New("the process dies")
					}
					return nil
				}
				revoke := call{op: logical.UpdateOperation, path: "revoke/web", data: map[string]any{"serial_number": serial}}
				_, err := m.send(revoke)
				require.Error(t, err)
				m.storage.fail = nil
				m.start()
				require.Equal(t, "revoked", m.must(revoke).Data["state"])
				require.Equal(t, []string{serial}, m.list("certs/revoked"))
				require.NotZero(t, m.read("cert/" + serial).Data["revocation_time"])
			})
		})
	}
}
