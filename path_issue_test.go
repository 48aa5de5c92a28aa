// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

func TestIssueReturnsCertificateKeyAndLease(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := &certinexttest.Server{Dialect: dialect, VerifiedDomains: []string{"example.com"}}
				m := newMount(t, ca)
				resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})

				leaf := m.chainOK(resp)
				require.Equal(t, "www.example.com", leaf.Subject.CommonName)
				require.Equal(t, []string{"www.example.com"}, leaf.DNSNames)
				require.Equal(t, leaf.NotAfter.Unix(), resp.Data["expiration"])
				require.Equal(t, "ec", resp.Data["private_key_type"])
				require.True(t, strings.HasPrefix(resp.Data["private_key"].(string), "-----BEGIN EC PRIVATE KEY-----"))
				require.Equal(t, resp.Data["issuing_ca"], resp.Data["ca_chain"].([]string)[0])
				require.NotNil(t, resp.Secret)
				require.InDelta(t, time.Until(leaf.NotAfter).Seconds(), resp.Secret.TTL.Seconds(), 60)

				require.Len(t, ca.Orders(), 1)
				require.Equal(t, "issued", ca.Orders()[0].Status)
				m.endLease(resp)
				require.Equal(t, "revoked", ca.Orders()[0].Status)
			})
		})
	}
}

func TestIssueOfAValidatedDomainIsFewRoundTripsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
		m := newMount(t, ca)
		ca.ResetCalls()
		m.storage.reset()
		m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		calls := ca.Calls()
		delete(calls, certinexttest.OpToken)
		require.Equal(t, map[string]int{certinexttest.OpCreateSSL: 1, certinexttest.OpCertificate: 1}, calls)
		require.LessOrEqual(t, len(m.storage.writes()), 3, "%v", m.storage.writes())
	})
}
