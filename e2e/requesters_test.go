// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A caller whose patience is shorter than issue_timeout asks again at once, perhaps before the engine has seen that it went.
func TestACallerThatHangsUpAndAsksAgainPaysOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 2500 * time.Millisecond})
	v := startVault(t)
	v.configure(ca)
	for _, name := range []string{"one.example.com", "two.example.com", "three.example.com", "four.example.com"} {
		request := map[string]any{"common_name": name}
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := v.api.Logical().WriteWithContext(hasty, "certinext/issue/web", request)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		ca.check(t, v.persist(30*time.Second, "certinext/issue/web", request))
		require.Len(t, ca.paid(name), 1, "%s was paid more than once", name)
	}
}

// Copies of a program that were started together ask for the same thing at the same instant, and again while its order is open: they share
// it, each with a lease of its own, and the certificate lives as long as the last of them.
func TestEqualRequestsAtOnceAreOneOrderWithALeaseEach(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 5 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"issue_timeout": "2s"})
	var fleet sync.WaitGroup
	answers := make([]*api.Secret, 4)
	for i := range answers {
		fleet.Go(func() {
			for range 20 {
				resp, err := v.send("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
				if err == nil {
					answers[i] = resp
					return
				}
			}
		})
	}
	fleet.Wait()
	leases, bought := make(map[string]bool), 0
	for _, resp := range answers {
		require.NotNil(t, resp)
		ca.check(t, resp)
		require.Equal(t, answers[0].Data["serial_number"], resp.Data["serial_number"])
		leases[resp.LeaseID] = true
		if resp.Data["reused"] == false {
			bought++
		}
	}
	require.Len(t, leases, len(answers))
	require.Equal(t, 1, bought, "one of them is told that the certificate is new")
	require.Equal(t, 1, ca.onlyOrder(t).Creates)
	for i, resp := range answers {
		require.Equal(t, "issued", ca.onlyOrder(t).Status, "revoked after %d of %d leases", i, len(answers))
		v.endLease(resp)
	}
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)
}

// A batch token has no accessor, and without an identity behind it nothing else to be known by.
func TestTwoBatchTokensWithoutIdentityDoNotShareAnOrder(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 3 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("web", map[string]any{"issue_timeout": "1s"})
	require.NoError(t, v.api.Sys().PutPolicyWithContext(t.Context(), "issue", `path "certinext/issue/web" { capabilities = ["update"] }`))
	batch := func() *caller {
		resp := v.write("auth/token/create", map[string]any{"type": "batch", "policies": "issue", "ttl": "10m"})
		return v.as(resp.Auth.ClientToken)
	}
	request := map[string]any{"common_name": "www.example.com"}
	first, second := batch(), batch()
	mine := orderID.FindString(first.refused("certinext/issue/web", request))
	theirs := orderID.FindString(second.refused("certinext/issue/web", request))
	require.NotEmpty(t, mine)
	require.NotEqual(t, mine, theirs, "the key that was made for one token would be handed to another")
	resp := first.persist(30*time.Second, "certinext/issue/web", request)
	require.Equal(t, mine, resp.Data["order_id"])
}

func TestVaultAgentKeepsAskingForASlowOrderAndPaysOnce(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 6 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("agent", map[string]any{"generate_lease": false, "issue_timeout": "1s"})
	v.role("leased", map[string]any{"issue_timeout": "1s"})
	config, pkiCertFile, secretFile := v.agentConfig()
	agent := spawn(t, filepath.Join(v.dir, "agent", "agent.log"), programs.vault, "agent", "-config="+config)
	pkiCert, secret := &rendering{path: pkiCertFile}, &rendering{path: secretFile}
	waitUntil(t, 60*time.Second, "both templates render", func() bool {
		require.False(t, agent.ended(), "the agent ended")
		pkiCert.look(v)
		secret.look(v)
		return len(pkiCert.serials) == 1 && len(secret.serials) == 1
	})
	require.Contains(t, agent.output(t), "is not finished", "the agent was never told to wait")
	agent.stop()
	require.Equal(t, pkiCert.serials, ca.paid("agent.example.com"))
	require.Equal(t, secret.serials, ca.paid("leased.example.com"))
	require.Len(t, ca.Orders(), 2)
}

// What is wrapped is read once by whoever holds the wrapping token, lease and all.
func TestAWrappedAnswerIsUnwrappedWithItsLease(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	wrapping, err := v.api.Clone()
	require.NoError(t, err)
	wrapping.SetToken(v.api.Token())
	wrapping.SetWrappingLookupFunc(func(string, string) string { return "5m" })
	wrapped, err := wrapping.Logical().WriteWithContext(t.Context(), "certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	require.NoError(t, err)
	require.NotNil(t, wrapped.WrapInfo)
	require.Nil(t, wrapped.Data)
	var resp *api.Secret
	resp, err = v.api.Logical().UnwrapWithContext(t.Context(), wrapped.WrapInfo.Token)
	require.NoError(t, err)
	v.keep("a private key", text(t, resp.Data["private_key"]))
	ca.check(t, resp)
	v.endLease(resp)
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)
}
