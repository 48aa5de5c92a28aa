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

// CheckKey returns an error about the field csr when a certificate for the public key was revoked
// as compromised. A nil key is one that the engine is yet to make.
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
	return fault.BadField("csr", "its key is compromised: certificate %s was revoked for that. "+
		"Make a CSR with a new key", strings.ReplaceAll(known.Serial, "-", ":"))
}
