// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// A certificate refers to its chain, and is found by its CERTInext order. Both are stored before
// it, so that no crash leaves a certificate without them.

// judgeWhole checks that at the moment at which a certificate is stored, or is looked at later, its
// chain is stored, and the entry of its CERTInext order's number names it.
func judgeWhole(w *world, key string, value []byte) {
	var c struct {
		Serial    string `json:"serial"`
		OrderID   string `json:"order_id"`
		CAOrderID string `json:"ca_order_id"`
		ChainRef  string `json:"chain_ref"`

		NotAfter time.Time `json:"not_after"`
		Imported bool      `json:"imported"`
	}
	if json.Unmarshal(value, &c) != nil {
		return
	}
	if w.upkeep.tidies && caNow(w).After(c.NotAfter) {
		return // a run that was cut short may have erased all but its entry, which goes last
	}
	if c.ChainRef != "" && w.disk.entries["chain/"+c.ChainRef] == nil {
		w.violate("record/chainless", "%s refers to chain %s, which is not stored", key, c.ChainRef)
	}
	for _, known := range numberOf(w, c.CAOrderID).Certificates {
		// The number is told first of an adoption, which a fault may keep from its certificate.
		if known.Serial == c.Serial && (known.OrderID == c.OrderID || c.Imported) {
			return
		}
	}
	w.violate("record/unindexed", "%s is not found by its CERTInext order %s and order %s", key,
		c.CAOrderID, c.OrderID)
}

// A numberEntry is what the mount has stored of a number.
type numberEntry struct {
	Certificates []struct {
		Serial  string `json:"serial"`
		OrderID string `json:"order_id"`
	} `json:"certificates"`
}

func numberOf(w *world, number string) (n numberEntry) {
	sum := sha256.Sum256([]byte(number))
	_ = json.Unmarshal(w.disk.entries["number/"+hex.EncodeToString(sum[:])], &n)
	return n
}

// judgeAllWhole is judgeWhole for all certificates.
func judgeAllWhole(w *world) {
	for _, key := range w.disk.under("cert/") {
		judgeWhole(w, key, w.disk.entries[key])
	}
}
