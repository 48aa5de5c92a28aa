// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// TestANodeThatMayNotWriteAsksTheCANothing sends everything that can be asked of a mount to a node that may not write, before the
// active node gets it. Such a node answers what storage alone tells, and has all else forwarded.
func TestANodeThatMayNotWriteAsksTheCANothing(t *testing.T) {
	for name, c := range map[string]struct {
		state consts.ReplicationState
		err   error // of its storage
	}{
		"a performance standby":             {consts.ReplicationPerformanceStandby, logical.ErrReadOnly},
		"a performance secondary":           {consts.ReplicationPerformanceSecondary, logical.ErrReadOnly},
		"a standby that does not say so":    {0, logical.ErrReadOnly},
		"the same, as a plugin hears of it": {0, errors.New(logical.ErrReadOnly.Error())},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, _ := recorded(t)
				system := &logical.StaticSystemView{ReplicationStateVal: c.state}
				s := shadowOf(m, certinextsecrets.Options{}, system, func(of logical.Storage) logical.Storage {
					return readOnly{of, c.err}
				})
				tellEverything(m)
				tellLeases(m)
				m.pass()
				tellEnd(m)
				s.everyOperation()
				forwarded := 0
				for _, a := range s.asked {
					what := fmt.Sprintf("%s %s", a.op, a.path)
					require.Empty(t, a.calls, "%s called the CA", what)
					if a.err == nil && a.resp != nil && a.resp.Data["dry_run"] == true {
						continue // it writes nothing (ADR 0038)
					}
					switch {
					case a.op == logical.RollbackOperation:
						continue
					case a.err != nil:
						require.Equal(t, logical.ErrReadOnly, a.err, "%s: Vault forwards by the error's whole text", what)
						forwarded++
					case a.op != logical.ReadOperation && a.op != logical.ListOperation && a.op != logical.HelpOperation:
						require.Fail(t, "answered by a node that may not write", "%s: %v", what, a.resp)
					}
				}
				require.Greater(t, forwarded, 60)
			})
		})
	}
}

// tellLeases renews and ends leases: what Vault asks for beside the paths.
func tellLeases(m *mount) {
	first := m.write("issue/web", map[string]any{"common_name": "leased.example.com"})
	m.must(call{op: logical.RenewOperation, path: "issue/web", secret: leased(first)})
	m.endLease(first)
	shared := m.write("issue/web", map[string]any{"common_name": "shared.example.com"})
	m.endLease(m.write("issue/web", map[string]any{"common_name": "shared.example.com"})) // not the last one
	m.endLease(shared)
	back := m.write("issue/web", map[string]any{"common_name": "back.example.com"})
	m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: back.Secret}) // Vault could not store it
}

// readOnly is storage as a node sees it that may not write.
type readOnly struct {
	logical.Storage
	err error
}

func (s readOnly) Put(context.Context, *logical.StorageEntry) error { return s.err }

func (s readOnly) Delete(context.Context, string) error { return s.err }
