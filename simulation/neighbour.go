// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/go-uuid"
	"github.com/hashicorp/vault/sdk/logical"
)

// neighbourTrials have a second mount of the same account order certificates for the same names.
var neighbourTrials = []trial{
	{"two mounts", 3, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "hasty", "rekey"))
		out := []Action{
			{Do: "neighbour", How: "order", Request: r},
			{Do: "wire", At: "< create-", Bad: "before", Skip: d.IntN(2)},
			{Do: pick(d, "issue", "order"), Request: r},
			{Do: "neighbour", How: "order", Request: r},
			{Do: "neighbour", How: "collect", Request: r},
		}
		for range 4 + d.IntN(6) {
			out = append(out, pick(d,
				Action{Do: "issue", Request: r},
				Action{Do: "cancel", Request: r},
				Action{Do: "revoke", Request: r, How: pick(d, "serial", "order", "key")},
				Action{Do: "lease-end", Request: r},
				Action{Do: "reissue", Request: r},
				Action{Do: "sync"},
				Action{Do: "adopt", Request: r},
				Action{Do: "neighbour", How: pick(d, "sync", "sync", "pass", "order", "collect",
					"revoke", "lease-end", "cancel"), Request: r},
				Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute, 9*time.Hour)}))
		}
		return out
	}},
}

// A neighbour is a second mount of the same account, in a Vault of its own. Nothing fails there,
// and its calls take no part in the order that the seed decides: each begins and ends between two
// steps.
type neighbour struct {
	world   *world
	backend logical.Backend
	storage *logical.InmemStorage
	markers map[string]bool // of its orders
	orders  []string        // their ids in its mount
	serials []string        // of the certificates that it was handed
	secrets []*logical.Secret
}

// newNeighbour mounts the engine with the config and the roles of the world.
func newNeighbour(w *world) *neighbour {
	n := &neighbour{
		world: w, storage: new(logical.InmemStorage), markers: make(map[string]bool),
	}
	ids := rand.New(rand.NewPCG(w.sched.seed, 5)) //nolint:gosec // it has to be repeatable
	b, err := certinextsecrets.FactoryWith(certinextsecrets.Options{
		HTTPClient: &http.Client{Transport: n},
		Now:        w.pluginNow,
		NewID: func() (string, error) {
			id := make([]byte, 16)
			for i := range id {
				id[i] = byte(ids.UintN(256)) //nolint:gosec // below 256
			}
			return uuid.FormatUUID(id)
		},
		Shuffle:   ids.Shuffle,
		Rand:      newDrawer(w.sched.seed, 1000),
		Resolvers: []string{"127.0.0.1:9"},
	})(context.Background(), &logical.BackendConfig{
		Logger: w.logger(), StorageView: n.storage,
		System: &logical.StaticSystemView{
			DefaultLeaseTTLVal: 24 * time.Hour, MaxLeaseTTLVal: 32 * 24 * time.Hour,
		},
	})
	if err != nil {
		panic(err)
	}
	n.backend = b
	n.call(logical.UpdateOperation, "config", w.account(), nil)
	for _, name := range w.roles {
		n.call(logical.UpdateOperation, "roles/"+name, w.roleOf(name), nil)
	}
	return n
}

// call has the neighbour's mount answer a request, and learns from the answer.
func (n *neighbour) call(
	op logical.Operation, path string, data map[string]any, secret *logical.Secret,
) {
	ann := requesters["ann"]
	done := make(chan *logical.Response, 1)
	synctest.Wait()
	go func() {
		resp, err := n.backend.HandleRequest(context.Background(), &logical.Request{
			ID: "neighbour", Operation: op, Path: path, Data: data, Storage: n.storage,
			MountPoint: "other/", Secret: secret,
			EntityID: ann.entity, ClientTokenAccessor: ann.accessor,
		})
		if err != nil || resp.IsError() {
			resp = nil
		}
		done <- resp
	}()
	resp := <-done
	synctest.Wait()
	n.learn(resp)
}

// learn keeps what an answer says of orders and certificates.
func (n *neighbour) learn(resp *logical.Response) {
	if resp == nil {
		return
	}
	if id, ok := resp.Data["order_id"].(string); ok && !slices.Contains(n.orders, id) {
		n.orders = append(n.orders, id)
	}
	if serial, ok := resp.Data["serial_number"].(string); ok && resp.Data["certificate"] != nil {
		n.serials = append(n.serials, serial)
	}
	if resp.Secret != nil {
		n.secrets = append(n.secrets, resp.Secret)
	}
}

// doNeighbour has the neighbour do something, with its latest order or certificate.
func doNeighbour(w *world, a Action) {
	if w.neighbour == nil {
		w.neighbour = newNeighbour(w)
	}
	n := w.neighbour
	w.note("the neighbour: %s", a.How)
	defer excuseStopped(w, time.Now())
	data := map[string]any{"common_name": a.commonName()}
	switch {
	case a.How == "order":
		n.call(logical.UpdateOperation, "orders/"+a.Role, data, nil)
	case a.How == "sync":
		n.call(logical.UpdateOperation, "sync", map[string]any{}, nil)
		time.Sleep(time.Second) // it goes on in the background
		synctest.Wait()
	case a.How == "pass":
		n.call(logical.RollbackOperation, "", map[string]any{"immediate": true}, nil)
	case a.How == "collect" && len(n.orders) > 0:
		n.call(logical.UpdateOperation, "orders/"+a.Role+"/"+last(n.orders)+"/collect", nil, nil)
	case a.How == "cancel" && len(n.orders) > 0:
		n.call(logical.DeleteOperation, "orders/"+a.Role+"/"+last(n.orders), nil, nil)
	case a.How == "revoke" && len(n.serials) > 0:
		n.call(logical.UpdateOperation, "revoke",
			map[string]any{"serial_number": last(n.serials)}, nil)
	case a.How == "lease-end" && len(n.secrets) > 0:
		n.call(logical.RevokeOperation, "issue/"+a.Role, nil, last(n.secrets))
	}
}

// excuseStopped excuses the calls in progress when time has passed since a moment: they stood still
// while the neighbour acted, and may have no time left for storage.
func excuseStopped(w *world, since time.Time) {
	if time.Since(since) < time.Second {
		return
	}
	for _, c := range w.calls {
		if !c.done.Load() {
			c.excused = true
		}
	}
}

func last[T any](of []T) T { return of[len(of)-1] }

// RoundTrip passes a request of the neighbour's on to CERTInext.
func (n *neighbour) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := bodyOf(req)
	if err != nil {
		return nil, err
	}
	name := operationOf(req)
	if strings.HasPrefix(name, "create-") {
		n.markers[markerText.FindString(string(body))] = true
	}
	watchNeighbours(n.world, name, req.URL.Path+string(body), n)
	out := req.Clone(req.Context())
	if body != nil {
		out.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return n.world.ca.Client().Transport.RoundTrip(out)
}

// has reports whether an order is the neighbour's.
func (n *neighbour) has(o *certinexttest.OrderRecord) bool {
	return n != nil && n.markers[markerIn(*o)]
}

// watchNeighbours checks that neither mount changes an order of the other. by is the neighbour when
// it sends the request, whose text names the order.
func watchNeighbours(w *world, name, text string, by *neighbour) {
	if w.neighbour == nil || !changesOrders(name) || strings.HasPrefix(name, "create-") {
		return
	}
	for _, o := range w.ca.Orders() {
		if o.ID == "" || !strings.Contains(text, o.ID) || w.books.typed[o.ID] {
			continue
		}
		if w.neighbour.has(&o) != (by != nil) {
			w.violate("neighbour/changed", "%s was sent for CERTInext's order %s, which the other "+
				"mount has placed", name, o.ID)
		}
	}
}

// judgeNeighbour checks that no order of the mount is taken for one of the neighbour's.
func judgeNeighbour(w *world, orders []certinexttest.OrderRecord) {
	for _, s := range w.storedOrders() {
		o := oracle{w}.numbered(orders, s.CAOrderID)
		if o != nil && w.neighbour.has(o) && !w.books.typed[o.ID] {
			w.violate("neighbour/adopted", "order %s has the number %s, which the other mount has "+
				"placed", s.ID, o.ID)
		}
	}
}
