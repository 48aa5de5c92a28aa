// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// inPortal are the actions that bring what is ordered in the portal into the mount.
func inPortal(r Request) []Action {
	return []Action{
		{Do: "portal", How: "order", Request: r},
		{Do: "sync-every", For: 10 * time.Minute},
		{Do: "time", For: 2 * time.Minute},
	}
}

// TestHistoriesUseThePortal: what the oracle is to judge happens.
func TestHistoriesUseThePortal(t *testing.T) {
	r := Request{Who: "ann", Role: "bare", Name: "n1"}
	ends := Action{Do: "portal", How: "revoke", Request: r}
	for name, c := range map[string]struct {
		then             []Action
		revoked, adopted bool
		atCA             string
	}{
		"an order":              {nil, false, false, "issued"},
		"a revocation":          {[]Action{ends, {Do: "time", For: 20 * time.Minute}}, true, false, "revoked"},
		"an adoption":           {[]Action{takes(r, "")}, false, true, "issued"},
		"one that is undone":    {[]Action{takes(r, ""), takes(r, "undo")}, false, false, "issued"},
		"its owner ends it":     {[]Action{takes(r, ""), {Do: "revoke", How: "serial", Request: r}}, true, true, "revoked"},
		"nobody else ends it":   {[]Action{takes(r, ""), {Do: "steal", How: "revoke", Request: r}}, false, true, "issued"},
		"not while it is held":  {[]Action{takes(r, ""), {Do: "hold", How: "on"}, {Do: "revoke", How: "serial", Request: r}}, false, true, "issued"},
		"it is no other role's": {[]Action{takes(r, ""), takes(r, "else")}, false, true, "issued"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, append(inPortal(r), c.then...), func(t *testing.T, w *world) {
				require.Empty(t, w.broken)
				certs := w.storedCerts()
				require.Len(t, certs, 1)
				require.Equal(t, []bool{c.revoked, c.adopted}, []bool{certs[0].Revocation != nil, certs[0].Role != ""})
				require.Equal(t, c.atCA, w.ca.Orders()[0].Status)
				judgeAdoptions(w)
				require.Empty(t, w.broken)
			})
		})
	}
}

// What must not become of what was ordered in the portal is seen, whatever the engine thinks.
func TestWhatIsDoneWronglyToOthersOrdersIsSeen(t *testing.T) {
	r := Request{Who: "ann", Role: "bare", Name: "n1"}
	adopts := &call{op: logical.UpdateOperation, path: "operator/adopt/web", data: map[string]any{}}
	mine, theirs := &storedCert{Role: "web", Requester: "ann"}, &storedCert{Role: "bare", Requester: "bob"}
	for promise, wrong := range map[string]func(w *world, c *storedCert){
		"portal/changed": func(w *world, c *storedCert) { watchPortal(w, "revoke", "/"+c.CAOrderID) },
		"portal/taken": func(w *world, c *storedCert) {
			w.disk.entries["order/closed/bare/9"] = []byte(`{"id":"9","ca_order_id":"` + c.CAOrderID + `"}`)
		},
		"sync/missed":       func(w *world, c *storedCert) { delete(w.disk.entries, "cert/"+c.Serial) },
		"sync/unnoticed":    func(w *world, _ *storedCert) { doPortal(w, Action{How: "revoke", Request: r}) },
		"adopt/owner":       func(w *world, _ *storedCert) { watchOwner(w, nil, "cert/01", mine, theirs) },
		"adopt/two-owners":  func(w *world, _ *storedCert) { watchOwner(w, adopts, "cert/01", mine, theirs) },
		"hold/changed":      func(w *world, _ *storedCert) { watchHold(w, &process{held: true}, nil, "revoke") },
		"adopt/other-mount": func(w *world, _ *storedCert) { ofNeighbour(w, adopts, r) },
	} {
		t.Run(promise, func(t *testing.T) {
			within(t, inPortal(r), func(t *testing.T, w *world) {
				wrong(w, w.storedCerts()[0])
				now := time.Now()
				if promise == "portal/taken" {
					w.upkeep.interval = 0
					judgePortal(w)
				} else {
					time.Sleep(time.Second)
					judgeNoticed(w, now.Add(time.Second))
				}
				require.True(t, breaks(w, promise), "%v", w.broken)
			})
		})
	}
}

// ofNeighbour has a role adopt what the neighbour has ordered.
func ofNeighbour(w *world, by *call, r Request) {
	doNeighbour(w, Action{How: "order", Request: r})
	for _, o := range w.ca.Orders() {
		if w.neighbour.has(&o) {
			watchOwner(w, by, "cert/01", &storedCert{}, &storedCert{Role: "web", CAOrderID: o.ID})
		}
	}
}

// What an operator was told of an adoption is to be so.
func TestAnAdoptionThatIsLostIsSeen(t *testing.T) {
	r := Request{Who: "ann", Role: "bare", Name: "n1"}
	for promise, key := range map[string]string{"adopt/lost": "cert/", "adopt/orderless": "order/closed/"} {
		within(t, append(inPortal(r), takes(r, "")), func(t *testing.T, w *world) {
			stored := w.disk.under(key)[0]
			if key == "cert/" {
				serial := w.storedCerts()[0].Serial
				w.disk.entries[stored] = []byte(`{"serial":"` + serial + `"}`)
			} else {
				delete(w.disk.entries, stored)
			}
			judgeAdoptions(w)
			require.True(t, breaks(w, promise), "%v", w.broken)
		})
	}
}
