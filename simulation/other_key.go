// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// An impostor is when CERTInext first and last delivered a certificate for a key that is not the
// order's, without delivering the order's in between.
type impostor struct{ first, last time.Time }

// otherKeyPatience is for how long CERTInext has to do so until the order is over (ADR 0021).
const otherKeyPatience = 24 * time.Hour

// watchOtherKey notes which key's certificate CERTInext has delivered in answer to a request whose
// address and body are text.
func watchOtherKey(
	w *world, to *certinexttest.Server, name, text string, resp *http.Response,
) {
	if name != "certificate" || resp == nil || resp.StatusCode != http.StatusOK {
		return
	}
	requests := to.Requests()
	if len(requests) == 0 || requests[len(requests)-1].Refusal != "" {
		return
	}
	lies := slices.Contains(requests[len(requests)-1].Faults,
		string(certinexttest.FaultWrongKey))
	w.books.mu.Lock()
	defer w.books.mu.Unlock()
	for _, o := range to.Orders() {
		if o.ID == "" || !strings.Contains(text, o.ID) {
			continue
		}
		known, now := w.books.impostors[o.ID], time.Now()
		if known.first.IsZero() {
			known.first = now
		}
		known.last = now
		if !lies {
			known = impostor{}
		}
		w.books.impostors[o.ID] = known
	}
}

// isOtherKeys reports whether, at a moment, CERTInext had delivered another key's certificate for
// so long that an order is over: in histories whose time passes in days a mistake of CERTInext's
// may last as long, and to the mount looks like a reissue in its portal.
func (b *books) isOtherKeys(number string, at time.Time) bool {
	known := b.impostors[number]
	return !known.first.IsZero() && !known.last.After(at) &&
		!known.last.Before(known.first.Add(otherKeyPatience))
}
