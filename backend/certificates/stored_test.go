// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// storedV1 is one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"certificate": &Entry{
			Version: 1, Serial: "0a-1b", Role: "web", Requester: "entity:e", OrderID: "6f1d",
			CAOrderID: "1000000001", Account: "https://us-api.certinext.io|1234567890",
			Family: certinext.FamilySSL, Certificate: "leaf", Chain: []string{"issuer", "root"},
			NotBefore: at, NotAfter: at, IssuedAt: at,
			Delivery: &Delivery{At: at}, Leases: map[string]time.Time{"l": at},
			Revocation: &Revocation{At: at, Reason: certinext.ReasonSuperseded},
			ReissuedBy: "6f1e", ReissuedAs: "0a-1c", LeaseEnded: true, Replaces: "0a-1a",
			RenewalOf: "0a-19", Imported: true,
		},
		"revocation": &Queued{
			Version: 1, Serial: "0a-1b", Reason: certinext.ReasonSuperseded, Note: "n",
			QueuedAt: at, Due: true, Attempts: 2, Next: at, LastError: "e", ByRequest: true,
		},
		"ca": &StoredCA{Version: 1, Chain: []string{"issuer", "root"}},
	}
}

// storedV2 is one full entry of each kind that has changed since.
func storedV2() map[string]any {
	all := storedV1()
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	cert := all["certificate"].(*Entry)
	cert.Delivery = &Delivery{At: at, Last: at.Add(time.Minute), Times: 2, Unleased: true}
	cert.Judged, cert.Held, cert.Remarks, cert.ReleasedAt = true, []string{"h"}, []string{"r"}, at
	cert.ReissueRefused = true
	cert.RevocationEnded = at
	cert.Behind = map[string]time.Duration{"l": 2 * time.Hour}
	cert.RequestorEmail = "platform@example.com"
	cert.RevocationDelay, cert.Fingerprint, cert.TakenOver = time.Hour, "f", "l"
	queued := all["revocation"].(*Queued)
	queued.SentAt = at
	queued.Requests = 1
	queued.LeaseOver = true
	queued.Waiting = true
	queued.Held = true
	queued.HeldUntil = at
	return map[string]any{
		"certificate": cert,
		"revocation":  queued,
		"lease":       &LeaseWatch{Version: 1},
		"held-back":   &HeldBackMark{Version: 1},
		"compromised": &compromisedKey{Version: 1, Serial: "0a-1b", At: at},
	}
}

// storedV3 is one full entry of each kind that has changed since.
func storedV3() map[string]any {
	at := time.Date(2026, 11, 28, 21, 0, 0, 0, time.UTC)
	cert := storedV2()["certificate"].(*Entry)
	cert.Chain, cert.ChainRef = nil, "c4a1"
	const acct = "https://us-api.certinext.io|1234567890"
	return map[string]any{
		"certificate": cert,
		"ca":          newStoredCA([]string{"issuer", "root"}, true),
		"chain":       &StoredChain{Version: 1, Chain: []string{"issuer", "root"}},
		"number": &NumberEntry{
			Version: 1, Number: "1000000001",
			Orders: []NumberedOrder{{Account: acct, Role: "web", ID: "6f1d", Marker: "vault-order:a"}},
			Certificates: []NumberedCertificate{
				{Account: acct, Serial: "0a-1b", OrderID: "6f1d", Key: "5f", NotBefore: at},
			},
		},
		"number-index": &IndexState{Version: 1, Cursor: "0a-1b", Complete: true},
	}
}

// storedV4 is one full entry of each kind that has changed since.
func storedV4() map[string]any {
	cert := storedV3()["certificate"].(*Entry)
	cert.Delivery.AtBehind, cert.Delivery.LastBehind = time.Hour, time.Minute
	cert.Doubted = map[string]bool{"l": true}
	queued := storedV2()["revocation"].(*Queued)
	queued.Unchecked = true
	return map[string]any{"certificate": cert, "revocation": queued}
}

// storedV5 is one full entry of each kind that has changed since.
func storedV5() map[string]any {
	return map[string]any{"lease": &LeaseWatch{Version: 1, Undo: &Undo{
		Lease: "l", Answers: 2, TookOver: true, Earlier: true, Unleased: true,
		Delay: time.Hour, Fingerprint: "f",
	}}}
}

// storedV6 is one full entry of each kind that has changed since.
func storedV6() map[string]any {
	cert := storedV4()["certificate"].(*Entry)
	cert.Subscription = subscriptions.Subscription{
		EndsAt: time.Date(2027, 11, 29, 9, 0, 0, 0, time.UTC), Status: "active", Told: true,
	}
	return map[string]any{"certificate": cert}
}

// storedV7 is one full entry of each kind that has changed since.
func storedV7() map[string]any {
	cert := storedV6()["certificate"].(*Entry)
	cert.RenewedBy = "0a-1d"
	cert.RevokeAt, cert.Kept = time.Date(2026, 12, 6, 12, 0, 0, 0, time.UTC), true
	cert.ReusedFor = "f"
	cert.Subscription = cert.Subscription.At("25.00", "USD")
	cert.RenewedAhead = true
	cert.AheadRefused, cert.RenewLater = "ordering: is paused", 240*time.Hour
	cert.CARenewsAt = time.Date(2027, 5, 17, 12, 0, 0, 0, time.UTC)
	return map[string]any{"certificate": cert}
}

// storedV8 is one full entry of each kind that has changed since.
func storedV8() map[string]any {
	at := time.Date(2026, 11, 29, 21, 0, 0, 0, time.UTC)
	cert := storedV7()["certificate"].(*Entry)
	cert.Owner = "team-web@example.com"
	cert.ProductCode, cert.OrderedAt, cert.AdoptedAt = "842", at, at
	cert.OtherMount = true
	cert.Replacement = &Replacement{
		For: "friday", Why: "its root is distrusted", At: at, NewOrder: true, ThoughRevoked: true,
		ByRequest: true, Gone: "its requester's identity entity is no more", Over: "it has expired",
	}
	return map[string]any{"certificate": cert}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
	storetest.Compare(t, "v3", storedV3())
	storetest.Compare(t, "v4", storedV4())
	storetest.Compare(t, "v5", storedV5())
	storetest.Compare(t, "v6", storedV6())
	storetest.Compare(t, "v7", storedV7())
	storetest.Compare(t, "v8", storedV8())
}
