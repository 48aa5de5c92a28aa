// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// doDry has a client ask what its request would come to (ADR 0038). Whatever that buys or stores is
// nobody's: the books and the look at storage find it.
func doDry(w *world, a Action) {
	k := w.existing(a.Request)
	if k == nil {
		return
	}
	verb, data := "issue", k.fields()
	if k.csr != "" {
		verb = "sign"
	}
	if a.How == "order" {
		verb = "orders"
	}
	data["dry_run"] = true
	w.send(&call{
		what: "dry " + k.request.Name, op: logical.UpdateOperation,
		path: verb + "/" + k.request.Role, data: data, who: requesters[k.request.Who],
		answer: func(c *call) {
			if !c.lost() && c.text("would") == "" && c.err == nil && !c.resp.IsError() {
				w.violate("dry/answer", "%s was answered %s", c.what, c.answered())
			}
		},
	})
}

// lookDry holds a request that is to store nothing to that.
func lookDry(ctx context.Context, w *world, what string) {
	if c := callOf(ctx); c != nil && c.data["dry_run"] == true {
		w.violate("dry/write", "%s: %s", c.what, what)
	}
}
