// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A shadow is a second process of the plugin, which is asked everything just before the mount's own is: a standby, or one that was
// restored from a snapshot. What it says to the CA is told apart by a header.
type shadow struct {
	logical.Backend                                              // the mount's own
	t               *testing.T                                   // of the mount
	start           func() logical.Backend                       // the other process, which knows what storage holds at that moment
	storage         func(mounts logical.Storage) logical.Storage // of the other process
	log             *lockedBuffer
	mayRead         bool // at the CA: any other call is noted, and fails
	asked           []shadowed

	mu    sync.Mutex
	calls []string // operations of the CA that the other process has called since the latest request
}

// A shadowed is what became of one request to the other process.
type shadowed struct {
	op    logical.Operation
	path  string
	resp  *logical.Response
	err   error
	calls []string // of the CA
}

// shadowHeader marks the calls of the shadow.
const shadowHeader = "X-Shadow"

// shadowOf starts the other process, and puts both behind the mount's door. Its storage is storage of the mount's.
func shadowOf(
	m *mount, o certinextsecrets.Options, system logical.SystemView, storage func(logical.Storage) logical.Storage,
) *shadow {
	m.t.Helper()
	s := &shadow{Backend: m.backend, t: m.t, storage: storage, log: new(lockedBuffer)}
	m.ca.Configure(func(ca *certinexttest.Server) { ca.BeforeCall = s.beforeCall })
	client := m.ca.Client()
	o.HTTPClient = &http.Client{Transport: marking{client.Transport, s}}
	o.Now, o.Resolvers = m.now, []string{noResolver}
	s.start = func() logical.Backend {
		b, err := certinextsecrets.FactoryWith(o)(m.t.Context(), &logical.BackendConfig{
			Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: s.log}), System: system, StorageView: storage(m.storage),
		})
		require.NoError(m.t, err)
		return b
	}
	m.backend = s
	return s
}

// HandleRequest asks the shadow first.
func (s *shadow) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	synctest.Wait() // until what the requests before have left behind is done
	copied := *req
	copied.Data, copied.Storage = maps.Clone(req.Data), s.storage(req.Storage)
	if req.Secret != nil {
		secret := *req.Secret
		copied.Secret = &secret
	}
	s.take()
	other := s.start()
	resp, err := other.HandleRequest(ctx, &copied)
	synctest.Wait()
	other.Cleanup(context.WithoutCancel(ctx))
	s.asked = append(s.asked, shadowed{op: req.Operation, path: req.Path, resp: resp, err: err, calls: s.take()})
	return s.Backend.HandleRequest(ctx, req)
}

func (s *shadow) beforeCall(op string, r *http.Request) {
	if r.Header.Get(shadowHeader) != "" && op != certinexttest.OpToken {
		s.note(op)
	}
}

func (s *shadow) note(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, op)
}

func (s *shadow) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// everyOperation requires that each operation of each path was asked for.
func (s *shadow) everyOperation() {
	s.t.Helper()
	r := &reference{t: s.t, doc: openAPI(s.t), actions: map[string][]action{}}
	for path, item := range r.doc.Paths {
		path = strings.Trim(path, "/")
		r.actions[path] = append(r.actions[path], actionsOf(item)...)
	}
	done := map[string]bool{}
	for _, a := range s.asked {
		if a.path != "" && a.op != logical.RollbackOperation && a.op != logical.RevokeOperation && a.op != logical.RenewOperation {
			done[string(a.op)+" "+r.declaration(a.path)] = true
		}
	}
	for path, actions := range r.actions {
		for _, a := range actions {
			require.True(s.t, done[string(a.op)+" "+path], "no request for %s %s was tried: add it to the story", a.op, path)
		}
	}
}

// marking marks every call as the shadow's.
type marking struct {
	http.RoundTripper
	shadow *shadow
}

func (m marking) RoundTrip(r *http.Request) (*http.Response, error) {
	if !m.shadow.mayRead {
		m.shadow.note(r.Method + " " + r.URL.Path)
		return nil, errors.New("the CA was called")
	}
	r = r.Clone(r.Context())
	r.Header.Set(shadowHeader, "1")
	return m.RoundTripper.RoundTrip(r)
}
