// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// errStorageAway is what storage says while it is away.
var errStorageAway = errors.New("storage is away")

// A faultyStorage counts its operations, and refuses some of them: before they take effect, or after.
type faultyStorage struct {
	logical.Storage
	mu    sync.Mutex
	armed bool
	done  int // operations since it was armed
	first int // the first one to be refused
	times int // how many are refused
	after bool
	hit   string // the first one that was refused
}

// arm has the n-th operation from now on refused, and the ones behind it up to times.
func (s *faultyStorage) arm(n, times int, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.done, s.first, s.times, s.after, s.hit = true, 0, n, times, after, ""
}

// disarm ends it, and tells which operation was refused first; empty when none was.
func (s *faultyStorage) disarm() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	return s.hit
}

// strike counts one operation, and reports whether it is refused.
func (s *faultyStorage) strike(op, key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed {
		return false
	}
	s.done++
	if s.done < s.first || s.done >= s.first+s.times {
		return false
	}
	if s.hit == "" {
		s.hit = op + " " + strings.SplitN(key, "/", 3)[0]
	}
	return true
}

// change is a write or delete that may be refused.
func (s *faultyStorage) change(op, key string, do func() error) error {
	refused := s.strike(op, key)
	if refused && !s.after {
		return errStorageAway
	}
	if err := do(); err != nil {
		return err
	}
	if refused {
		return errStorageAway
	}
	return nil
}

func (s *faultyStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.strike("get", key) {
		return nil, errStorageAway
	}
	return s.Storage.Get(ctx, key)
}

func (s *faultyStorage) List(ctx context.Context, prefix string) ([]string, error) {
	if s.strike("list", prefix) {
		return nil, errStorageAway
	}
	return s.Storage.List(ctx, prefix)
}

func (s *faultyStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.change("put", e.Key, func() error { return s.Storage.Put(ctx, e) })
}

func (s *faultyStorage) Delete(ctx context.Context, key string) error {
	return s.change("delete", key, func() error { return s.Storage.Delete(ctx, key) })
}

// Whoever waits for another request's order, and cannot be told how that stands, has lost nothing and is told to ask again. A fault of the
// server would have Vault's client send the request three times more.
func TestAnOrderThatIsWorkedOnAndCannotBeReadIsNoFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 30 * time.Second})
		storage := &faultyStorage{Storage: m.storage.under()}
		m.storage.lay(storage)
		var others sync.WaitGroup
		others.Go(func() { m.write("issue/web", www) })
		time.Sleep(10 * time.Second)
		storage.arm(2, 1, false) // behind the reading of the role
		resp, err := m.send(call{op: logical.UpdateOperation, path: "orders/web", data: www})
		require.Equal(t, "get order", storage.disarm())
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "is being worked on at this moment: send it again")
		others.Wait()
	})
}

// A faultFlow is something that people do, during which storage fails.
type faultFlow struct {
	ca  func(*certinexttest.Server) // what the CA is like
	do  func(m *mount)              // with storage that fails somewhere; whatever is answered is taken
	end func(m *mount)              // with storage that works again, in the same process: what has to work then
}

// try sends a request whose answer does not matter.
func (m *mount) try(op logical.Operation, path string, data map[string]any) *logical.Response {
	resp, _ := m.send(call{op: op, path: path, data: data})
	if resp == nil {
		resp = new(logical.Response)
	}
	return resp
}

// issuedOnce asks until the certificate is there, as a client does, and checks that it was paid for once.
func (m *mount) issuedOnce(orders int) *logical.Response {
	m.t.Helper()
	for range 5 {
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: www})
		require.NoError(m.t, err)
		if !resp.IsError() {
			m.chainOK(resp)
			require.Len(m.t, m.ca.Orders(), orders)
			return resp
		}
		require.NotContains(m.t, resp.Error().Error(), "at this moment", "nobody works on it")
		time.Sleep(2 * time.Minute)
		m.pass()
	}
	require.Fail(m.t, "the order does not go on", "%v", m.try(logical.UpdateOperation, "issue/web", www))
	return nil
}

var faultFlows = map[string]faultFlow{
	"issue": {
		do:  func(m *mount) { m.try(logical.UpdateOperation, "issue/web", www) },
		end: func(m *mount) { m.issuedOnce(1) },
	},
	"issue that CERTInext refuses": {
		do: func(m *mount) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRateLimit, Times: 1})
			m.try(logical.UpdateOperation, "issue/web", www)
			m.ca.ClearFaults()
		},
		end: func(m *mount) { m.issuedOnce(1) },
	},
	"issue under a name": {
		do: func(m *mount) {
			m.try(logical.UpdateOperation, "issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy"})
		},
		end: func(m *mount) {
			for range 5 {
				resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com", "request_id": "deploy"}})
				require.NoError(m.t, err)
				if !resp.IsError() {
					require.Len(m.t, m.ca.Orders(), 1)
					return
				}
				time.Sleep(time.Minute)
				m.pass()
			}
			require.Fail(m.t, "the named order does not go on")
		},
	},
	"an order that is placed and collected": {
		do: func(m *mount) {
			id, _ := m.try(logical.UpdateOperation, "orders/web", www).Data["order_id"].(string)
			m.try(logical.UpdateOperation, "orders/web/"+id+"/collect", nil)
		},
		end: func(m *mount) { m.issuedOnce(1) },
	},
	"a pass over a slow order": {
		ca: func(ca *certinexttest.Server) { ca.IssueDelay = 90 * time.Second },
		do: func(m *mount) {
			m.try(logical.UpdateOperation, "orders/web", www)
			time.Sleep(2 * time.Minute)
			m.try(logical.RollbackOperation, "", map[string]any{"immediate": true})
		},
		end: func(m *mount) { m.issuedOnce(1) },
	},
	"the end of a lease": {
		do: func(m *mount) {
			resp := m.try(logical.UpdateOperation, "issue/web", www)
			if resp.Secret == nil {
				return
			}
			// Vault tries six times before it calls a lease irrevocable.
			for range 6 {
				if _, err := m.send(call{op: logical.RevokeOperation, path: "issue/web", secret: leased(resp)}); err == nil {
					return
				}
				time.Sleep(10 * time.Second)
			}
			m.t.Error("the lease is irrevocable")
		},
		end: func(m *mount) {
			m.passes(3)
			for _, o := range m.ca.Orders() {
				if o.Status == "issued" {
					m.endLease(m.issuedOnce(1)) // it was never handed over
				}
			}
			m.passes(3)
			for _, o := range m.ca.Orders() {
				require.Equal(m.t, "revoked", o.Status)
			}
			require.Empty(m.t, m.list("certs/revocation-queue"))
		},
	},
	"a revocation": {
		do: func(m *mount) {
			resp := m.try(logical.UpdateOperation, "issue/web", www)
			m.try(logical.UpdateOperation, "revoke", map[string]any{"serial_number": resp.Data["serial_number"]})
		},
		end: func(m *mount) {
			m.passes(3)
			for _, serial := range m.list("certs") {
				require.Contains(m.t, []string{"revoked", "expired"}, m.write("revoke", map[string]any{"serial_number": serial}).Data["state"])
			}
			m.passes(3)
			requireNoKeys(m.t, m)
		},
	},
	"cancelling": {
		ca: func(ca *certinexttest.Server) { ca.HoldForApproval = true },
		do: func(m *mount) {
			id, _ := m.try(logical.UpdateOperation, "orders/web", www).Data["order_id"].(string)
			m.try(logical.DeleteOperation, "orders/web/"+id, nil)
		},
		end: func(m *mount) {
			m.passes(3)
			for _, id := range m.list("orders/web") {
				if state := m.read("orders/web/" + id).Data["state"]; state == "pending" {
					m.must(call{op: logical.DeleteOperation, path: "orders/web/" + id})
				}
			}
			m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = false })
			requireNoKeys(m.t, m)
			m.issuedOnce(len(m.ca.Orders()) + 1)
		},
	},
	"a draft that is promoted": {
		do: func(m *mount) {
			id, _ := m.try(logical.UpdateOperation, "orders/web", map[string]any{"common_name": "www.example.com", "save_as_draft": true}).Data["order_id"].(string)
			m.try(logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		},
		end: func(m *mount) {
			m.passes(3)
			require.LessOrEqual(m.t, len(m.ca.Orders()), 1)
			for _, id := range m.list("orders/web") {
				o := m.read("orders/web/" + id).Data
				require.Contains(m.t, []string{"draft", "issued", "failed"}, o["state"], "%v", o)
				if o["state"] == "draft" {
					m.write("orders/web/"+id, map[string]any{"promote": true})
				}
			}
			require.LessOrEqual(m.t, len(m.ca.Orders()), 1)
		},
	},
}

// A fault of storage at any operation of anything that people do leaves an order that goes on by itself, in the same process: nothing is
// locked, nothing is paid twice, nothing that CERTInext was never told counts as in doubt.
func TestAfterAFaultOfStorageEverythingGoesOnByItself(t *testing.T) {
	atSize(t)
	for name, flow := range faultFlows {
		for _, kind := range []struct {
			name  string
			times int
			after bool
		}{{"before it takes effect", 1, false}, {"after it took effect", 1, true}, {"and the three behind it", 4, false}} {
			t.Run(name+", "+kind.name, func(t *testing.T) {
				struck := 0
				for n := 1; n < 200; n++ {
					var hit string
					synctest.Test(t, func(t *testing.T) {
						ca := validated(certinexttest.Live)
						if flow.ca != nil {
							flow.ca(ca)
						}
						m := newMount(t, ca)
						faulty := &faultyStorage{Storage: m.storage.under()}
						m.storage.lay(faulty)
						faulty.arm(n, kind.times, kind.after)
						flow.do(m)
						if hit = faulty.disarm(); hit == "" {
							return
						}
						defer func() {
							if t.Failed() {
								t.Logf("operation %d: %s\n%s", n, hit, m.log)
							}
						}()
						flow.end(m)
					})
					if hit == "" {
						break
					}
					if struck++; t.Failed() {
						return
					}
				}
				require.Greater(t, struck, 5, "%s has only %d operations", name, struck)
			})
		}
	}
}
