// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A node is one Vault of two on the same storage, with its plugin process. The standby reads, and is told what the other one writes.
type node struct {
	fleet   *fleet
	backend logical.Backend
	system  *logical.StaticSystemView
	ctx     context.Context // of its requests; ends when it steps down
	cancel  context.CancelFunc
	fenced  atomic.Bool // it writes nothing any more
}

// newNode starts the plugin of a node.
func (f *fleet) newNode(isStandby bool) *node {
	f.t.Helper()
	n := &node{fleet: f}
	n.ctx, n.cancel = context.WithCancel(f.t.Context())
	system := *f.system
	n.system = &system
	if isStandby {
		n.system.ReplicationStateVal = consts.ReplicationPerformanceStandby
		n.fenced.Store(true)
	}
	b, err := certinextsecrets.FactoryWith(certinextsecrets.Options{
		HTTPClient: f.ca.Client(), Now: f.now, TickTime: 90 * time.Second, Resolvers: []string{noResolver},
	})(f.t.Context(), &logical.BackendConfig{
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: f.log}), System: n.system, StorageView: nodeStorage{f.storage, n},
	})
	require.NoError(f.t, err)
	require.NoError(f.t, b.Initialize(f.t.Context(), &logical.InitializationRequest{Storage: nodeStorage{f.storage, n}}))
	n.backend = b
	f.t.Cleanup(func() { b.Cleanup(context.Background()) })
	return n
}

// handle has the node answer a request.
func (n *node) handle(req *logical.Request) (*logical.Response, error) {
	req.Storage = nodeStorage{n.fleet.storage, n}
	return n.backend.HandleRequest(n.ctx, req)
}

// A nodeStorage is the storage as a node sees it.
type nodeStorage struct {
	logical.Storage

	node *node
}

func (s nodeStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.change(ctx, e.Key, func() error { return s.Storage.Put(ctx, e) })
}

func (s nodeStorage) Delete(ctx context.Context, key string) error {
	return s.change(ctx, key, func() error { return s.Storage.Delete(ctx, key) })
}

func (s nodeStorage) change(ctx context.Context, key string, do func() error) error {
	if s.node.fenced.Load() {
		return logical.ErrReadOnly
	}
	if err := do(); err != nil {
		return err
	}
	f := s.node.fleet
	f.mu.Lock()
	standby := f.standby
	f.mu.Unlock()
	if standby != nil && standby != s.node {
		standby.backend.InvalidateKey(ctx, key)
	}
	return nil
}

// serving is the node that answers requests.
func (f *fleet) serving() *node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active
}

// restart has the plugin of the active node end, and start again.
func (f *fleet) restart() {
	fresh := f.newNode(false)
	f.mu.Lock()
	old := f.active
	f.active = fresh
	f.mu.Unlock()
	old.backend.Cleanup(f.t.Context())
}

// failOverSoon has the CA take two seconds for the next order, and the active node lose its place in the middle of that.
func (f *fleet) failOverSoon() {
	for _, op := range []string{certinexttest.OpCreateSSL, certinexttest.OpReissue, certinexttest.OpTrack} {
		f.ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultLatency, Delay: 2 * time.Second})
	}
	f.ending.Go(func() {
		time.Sleep(time.Duration(500+f.roll(3000)) * time.Millisecond)
		f.failOver()
	})
}

// failOver has the standby become active. The node before steps down, so that its requests end at once, or it has lost touch: its requests go on until
// they come to write. Its place as a standby is taken by a new process.
func (f *fleet) failOver() {
	fresh := f.newNode(true)
	f.mu.Lock()
	old, next := f.active, f.standby
	old.fenced.Store(true)
	next.system.ReplicationStateVal = 0
	next.fenced.Store(false)
	f.active, f.standby = next, fresh
	f.failed++
	f.mu.Unlock()
	if f.roll(2) == 0 {
		old.cancel()
	} else {
		time.Sleep(3 * time.Minute)
	}
	old.backend.Cleanup(context.Background())
	old.cancel()
}

var markerText = regexp.MustCompile(`vault-order:[0-9a-z-]+`)

// settle has an operator look up each order that is still in doubt in CERTInext's portal, and say what is there. CERTInext has no record that proves a
// create absent until a later order is in it (ADR 0009), which takes months where certificates are reissued.
func (f *fleet) settle() {
	const open = "order/open/web/"
	ids, err := f.storage.List(f.t.Context(), open)
	require.NoError(f.t, err)
	for _, id := range ids {
		e, err := f.storage.Get(f.t.Context(), open+id)
		require.NoError(f.t, err)
		if e == nil || !strings.Contains(string(e.Value), `"state":"unresolved"`) {
			continue
		}
		truth := map[string]any{"never_placed": true}
		marker := markerText.FindString(string(e.Value))
		for _, o := range f.ca.Orders() {
			if o.ID != "" && (slices.Contains(o.Tags, marker) || strings.Contains(o.Remarks, marker)) {
				truth = map[string]any{"ca_order_id": o.ID}
			}
		}
		resp, err := f.serving().handle(&logical.Request{
			Operation: logical.UpdateOperation, Path: "operator/orders/web/" + id, Data: truth, MountPoint: "certinext/",
			EntityID: "entity-of-the-operator", ClientTokenAccessor: "accessor-of-the-operator",
		})
		if err == nil && !resp.IsError() {
			f.mu.Lock()
			f.settled++
			f.mu.Unlock()
		}
	}
}
