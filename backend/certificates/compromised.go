// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A key that was revoked as compromised must not be certified again: the Baseline Requirements for
// TLS, 6.1.1.3, have the CA refuse it, after it was paid for. So the mount remembers such keys for
// good, by their hash.

// compromisedPrefix is followed by the SHA-256 of a public key's SubjectPublicKeyInfo, in
// hexadecimal.
const compromisedPrefix = "compromised/"

// A compromisedKey is a stored note that a key was revoked as compromised.
type compromisedKey struct {
	Version int       `json:"version"`
	Serial  string    `json:"serial"` // of the certificate, with dashes
	At      time.Time `json:"at"`     // when the mount learned of it
}

func compromisedEntry(publicKey any) (string, error) {
	hash, err := hashKey(publicKey)
	return compromisedPrefix + hash, err
}

// noteCompromised remembers the key of a certificate that is revoked for reason, if that says that
// the key is compromised.
func (keeper *Keeper) noteCompromised(
	ctx context.Context, s logical.Storage, c *Entry, reason certinext.Reason,
) error {
	if reason != certinext.ReasonKeyCompromise {
		return nil
	}
	certs, err := Parse([]string{c.Certificate})
	if err != nil || len(certs) == 0 {
		return err
	}
	key, err := compromisedEntry(certs[0].PublicKey)
	if err != nil {
		return err
	}
	known, err := store.Get[compromisedKey](ctx, s, key)
	if err != nil || known != nil {
		return err
	}
	return store.Put(context.WithoutCancel(ctx), s, key,
		&compromisedKey{Version: 1, Serial: c.Serial, At: keeper.Now()})
}

// CheckKey returns an error about the field csr when somebody has said that the public key is
// compromised, whatever became of the revocation of its certificate. A nil key is one that the
// engine is yet to make.
func (keeper *Keeper) CheckKey(ctx context.Context, s logical.Storage, publicKey any) error {
	if publicKey == nil {
		return nil
	}
	key, err := compromisedEntry(publicKey)
	if err != nil {
		return err
	}
	known, err := store.Get[compromisedKey](ctx, s, key)
	if err != nil || known == nil {
		return err
	}
	became, err := becameOf(ctx, s, known.Serial)
	if err != nil {
		return err
	}
	return fault.BadField("csr", "its key is compromised: certificate %s %s. "+
		"Make a CSR with a new key", strings.ReplaceAll(known.Serial, "-", ":"), became)
}

// becameOf says what became of the revocation of a certificate whose key is compromised. serial is
// the certificate's serial number with dashes.
func becameOf(ctx context.Context, s logical.Storage, serial string) (string, error) {
	c, err := Read(ctx, s, serial)
	if err != nil {
		return "", err
	}
	switch {
	case c == nil:
		return "was to be revoked for that, and has expired since", nil // tidied (ADR 0045)
	case c.Revocation != nil:
		return "was revoked for that", nil
	}
	queued, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
	if err != nil {
		return "", err
	}
	if queued != nil && queued.Due {
		return "is to be revoked for that", nil
	}
	return "was to be revoked for that, and is not: CERTInext refused, or revokes it only with " +
		"the newest one of its order", nil
}
