// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"regexp"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestEveryWriteIsForwarded: a performance standby or secondary forwards a write to the active node
// before CERTInext is called, so an order is never placed where its entry cannot be stored.
func TestEveryWriteIsForwarded(t *testing.T) {
	b := newBackend(Options{}, new(logical.BackendConfig))
	t.Cleanup(b.engine.Close)
	writes := 0
	for _, p := range b.Paths {
		for op, h := range p.Operations {
			require.NotEqual(t, logical.CreateOperation, op,
				"%s: a create needs another capability than Vault PKI's paths do", p.Pattern)
			if op == logical.ReadOperation || op == logical.ListOperation {
				continue
			}
			writes++
			require.True(t, h.Properties().ForwardPerformanceStandby, "%s %s", op, p.Pattern)
			require.True(t, h.Properties().ForwardPerformanceSecondary, "%s %s", op, p.Pattern)
		}
		require.Nil(t, p.ExistenceCheck, p.Pattern)
	}
	require.Greater(t, writes, 10)
}

// TestQuestionsToCERTInextAreForwarded: the active node asks CERTInext about the account, since it
// has the access token and the cached catalog.
func TestQuestionsToCERTInextAreForwarded(t *testing.T) {
	b := newBackend(Options{}, new(logical.BackendConfig))
	t.Cleanup(b.engine.Close)
	asking := regexp.MustCompile(`^(config/check|catalog/|account|groups|organizations|domains|reports/)`)
	found := 0
	for _, p := range b.Paths {
		if !asking.MatchString(p.Pattern) {
			continue
		}
		found++
		for op, h := range p.Operations {
			if op == logical.ListOperation {
				continue // of what storage holds
			}
			require.True(t, h.Properties().ForwardPerformanceStandby, p.Pattern)
			require.True(t, h.Properties().ForwardPerformanceSecondary, p.Pattern)
		}
	}
	require.Equal(t, 14, found)
}
