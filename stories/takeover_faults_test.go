// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A faultOnce refuses one change of storage, deletions included, and no other: the change of a number, counted from 1 since it was begun.
type faultOnce struct {
	at, seen int
	begun    bool
}

func (f *faultOnce) look(string) error {
	if !f.begun {
		return nil
	}
	if f.seen++; f.seen == f.at {
		return errors.New("storage refuses this one")
	}
	return nil
}

// struck reports whether there were enough changes for the fault.
func (f *faultOnce) struck() bool { return f.seen >= f.at }

// cutBy has cut look at every change from now on; nil ends that.
func (s *countingStorage) cutBy(cut func(key string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

// An undoing is how an answer that has taken a certificate over comes to nothing.
type undoing struct {
	path   string // of both requests
	closed bool   // the order was closed before the certificate is taken over
	// role is what is patched before that.
	role map[string]any
	// answer sends the request, whose answer is undone with the fault.
	answer func(m *mount, request map[string]any, f *faultOnce)
}

// hungUp is a client that has gone when the certificate is stored as handed over.
func hungUp(path string) func(m *mount, request map[string]any, f *faultOnce) {
	return func(m *mount, request map[string]any, f *faultOnce) {
		ctx, cancel := context.WithCancel(m.t.Context())
		defer cancel()
		m.storage.cutBy(func(key string) error {
			if f.begun {
				return f.look(key)
			}
			if f.begun = strings.HasPrefix(key, "cert/"); f.begun {
				cancel()
			}
			return nil
		})
		resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: request, ctx: ctx})
		m.storage.cutBy(nil)
		require.True(m.t, err != nil || resp.IsError(), "not hung up")
	}
}

// handedBack is an answer whose lease Vault could not store.
func handedBack(path string) func(m *mount, request map[string]any, f *faultOnce) {
	return func(m *mount, request map[string]any, f *faultOnce) {
		resp := m.write(path, request)
		f.begun = true
		m.storage.cutBy(f.look)
		_, _ = m.send(call{op: logical.RevokeOperation, path: path, secret: resp.Secret})
		m.storage.cutBy(nil)
	}
}

// An answer that takes a certificate over does not reach its client, and storage fails once, wherever that is, while the answer is undone: nobody
// has the certificate, so it is revoked when the delay is over, as if nobody had asked for it; or it is handed over to the next one who does.
func TestATakeoverThatIsUndoneWithAFaultIsNotForgotten(t *testing.T) {
	atSize(t)
	unleased := map[string]any{"generate_lease": false}
	cases := map[string]undoing{}
	for path, how := range map[string]string{"issue/web": "engine's key", "sign/web": "CSR"} {
		for name, answer := range map[string]func(string) func(*mount, map[string]any, *faultOnce){"hung up": hungUp, "handed back": handedBack} {
			cases[how+", "+name] = undoing{path: path, answer: answer(path)}
		}
		cases[how+", hung up, without a lease"] = undoing{path: path, role: unleased, answer: hungUp(path)}
	}
	cases["CSR, hung up, closed order"] = undoing{path: "sign/web", closed: true, answer: hungUp("sign/web")}
	cases["CSR, hung up, closed order, without a lease"] = undoing{path: "sign/web", closed: true, role: unleased, answer: hungUp("sign/web")}
	cases["CSR, handed back, closed order"] = undoing{path: "sign/web", closed: true, answer: handedBack("sign/web")}
	cases["CSR, handed back, no grace"] = undoing{path: "sign/web", closed: true, role: map[string]any{"delivery_grace": "0s", "reuse_window": "0s"}, answer: handedBack("sign/web")}
	for name, c := range cases {
		for _, next := range []string{"", "restart", "request"} {
			t.Run(name+", "+next, func(t *testing.T) {
				for at := 1; ; at++ {
					struck := false
					synctest.Test(t, func(t *testing.T) { struck = c.story(t, next, at) })
					if !struck {
						require.Greater(t, at, 2, "nothing was undone")
						return
					}
				}
			})
		}
	}
}

// story tells the story with a fault at the change of a number, and reports whether there was one.
func (c undoing) story(t *testing.T, next string, at int) (struck bool) {
	m := delayed(t, validated(certinexttest.Live))
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"delivery_grace": "1h"}})
	request := www
	if c.path == "sign/web" {
		request = signing(t, "www.example.com")
	}
	first := m.write(c.path, request)
	if c.closed {
		m.waits(3 * time.Hour)
	}
	m.endLease(first)
	m.waits(10 * time.Minute)
	if c.role != nil {
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: c.role})
	}
	f := &faultOnce{at: at}
	c.answer(m, request, f)
	where := fmt.Sprintf("a fault at change %d", at)
	switch next {
	case "restart":
		m.start()
	case "request":
		m.waits(10 * time.Minute)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": true}})
		second := m.write(c.path, request)
		require.Equal(t, serialOf(first), serialOf(second), where)
		m.waits(6 * time.Hour)
		require.Zero(t, m.revokedAtCA(), "%s: a client has it", where)
		m.endLease(second)
	}
	m.waits(6 * time.Hour)
	require.Equal(t, 1, m.revokedAtCA(), "%s: nobody has it", where)
	require.Empty(t, m.list("certs/revocation-queue"), where)
	require.Len(t, m.ca.Orders(), 1, where)
	m.requireNoIndex()
	for key := range m.storage.dump(t) {
		require.False(t, strings.HasPrefix(key, "lease/"), "%s: %s", where, key)
	}
	return f.struck()
}
