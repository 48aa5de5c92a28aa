// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// Some roles reuse certificates (ADR 0041), so that keys of closed orders rest.

// keptPrefix is where the keys of certificates rest that are reused.
const keptPrefix = "reuse/key/"

// answersWithKept reports whether a call is answered with a certificate that was bought before, as
// long as that need not be renewed: to order, or not to wait for the certificate, is to place an
// order.
func answersWithKept(r Request, by *call) bool {
	return roles[r.Role]["reuse"] == true && requesters[r.Who].entity != "" && r.ID == "" &&
		!strings.HasPrefix(by.path, "orders/") && by.data["async"] != true
}

// isRenewedByName reports whether a client has asked to renew a certificate of an order by its
// serial number: what was renewed is reused no more.
func isRenewedByName(w *world, o *certinexttest.OrderRecord) bool {
	return slices.ContainsFunc(w.asked, func(r Request) bool {
		serial, renewal := strings.CutPrefix(r.ID, "renew:")
		return renewal && slices.Contains(o.Serials, plain(serial))
	})
}

// mayHoldKey reports whether a private key may be stored under a key of storage.
func mayHoldKey(key string) bool {
	return strings.HasPrefix(key, "order/open/") || strings.HasPrefix(key, keptPrefix)
}

// isKept reports whether a private key may rest at the end of a history: its certificate is reused,
// and neither over nor revoked, nor on its way to be.
func isKept(w *world, key string) bool {
	if !strings.HasPrefix(key, keptPrefix) {
		return false
	}
	var kept struct {
		Serial string    `json:"serial"`
		Until  time.Time `json:"until"`
	}
	if json.Unmarshal(w.disk.entries[key], &kept) != nil {
		return false
	}
	c := w.storedCert(kept.Serial)
	return c != nil && c.Revocation == nil &&
		w.disk.entries["revocation/"+kept.Serial] == nil &&
		time.Now().Before(kept.Until.Add(2*time.Hour))
}
