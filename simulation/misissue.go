// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bytes"
	"crypto/x509"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// mistakes are what CERTInext may do to the certificates that it issues: each has to be held.
var mistakes = []certinexttest.Misissuance{
	certinexttest.MisissueExtraName, certinexttest.MisissueMissingName,
	certinexttest.MisissueOtherCommonName, certinexttest.MisissueEmailName,
	certinexttest.MisissueURIName, certinexttest.MisissueOtherName,
	certinexttest.MisissueCACertificate, certinexttest.MisissueBeginsSoon,
	certinexttest.MisissueTooLong, certinexttest.MisissueForeignChain,
	certinexttest.MisissueLeafIssuer, certinexttest.MisissueBrokenChain,
}

// doMisissue has CERTInext make a mistake with each certificate from now on; none when the mistake
// is "none".
func doMisissue(w *world, a Action) {
	var mistake certinexttest.Misissuance
	if err := mistake.UnmarshalText([]byte(a.Bad)); err != nil {
		panic(err)
	}
	w.note("CERTInext issues with: %s", a.Bad)
	w.misissued = w.misissued || mistake != certinexttest.MisissueNone
	w.ca.Configure(func(s *certinexttest.Server) { s.Misissue = mistake })
}

// doRelease has an operator release the certificate of a client's latest order, held or not.
func doRelease(w *world, a Action) {
	if k := w.existing(a.Request); k != nil && k.order() != "" {
		release(w, k.request.Role, k.order())
	}
}

// release has an operator release an order. From now on its certificate may be handed over, since
// whether the engine has taken the word is not known before it answers.
func release(w *world, role, id string) {
	w.released[id] = true
	w.send(&call{
		what: "release " + id, op: logical.UpdateOperation,
		path: "operator/orders/" + role + "/" + id, data: map[string]any{"release": true},
		who: operator,
	})
}

// releaseHeld has an operator release whatever is held, and returns how much that was.
func releaseHeld(w *world) int {
	n := 0
	for _, o := range w.storedOrders() {
		if o.open && o.Held {
			n++
			release(w, o.Role, o.ID)
			w.until(w.idle, longestCall)
		}
	}
	return n
}

// hasOtherName reports whether a certificate has an alternative name of a kind that Go's parser
// passes over. The wrong ones of the simulator are user principal names.
func hasOtherName(leaf *x509.Certificate) bool {
	for _, e := range leaf.Extensions {
		if e.Id.String() == "2.5.29.17" && bytes.Contains(e.Value, userPrincipalName) {
			return true
		}
	}
	return false
}

// userPrincipalName is the object identifier 1.3.6.1.4.1.311.20.2.3 in DER.
var userPrincipalName = []byte{
	0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03,
}

// latestNow returns the later one of the times that the plugin's clock and CERTInext's show.
func latestNow(w *world) time.Time {
	ahead := max(w.pluginAhead.Load(), w.caAhead.Load())
	return time.Now().Add(time.Duration(ahead))
}
