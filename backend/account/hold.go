// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"errors"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
)

// HoldVariable is the environment variable that holds the plugin's mounts.
const HoldVariable = "CERTINEXT_HOLD"

// ErrHeld is the error of whatever would change something outside the mount's storage while the
// mounts of this process are held. A mount that was restored from a snapshot is a second owner of
// certificates that are in use: it knows leases, open orders and queued revocations of the past,
// and must not act on them until a person has looked (ADR 0031).
var ErrHeld = errors.New("this mount is held: it changes nothing at CERTInext or at DNS hosts " +
	"while " + HoldVariable + " is set in the plugin's environment, mostly because the mount was " +
	"restored from a snapshot. Once it is certain that no other mount owns its certificates, " +
	"start the plugin without " + HoldVariable + " (docs/guides/restore.md)")

// IsHold reports whether a value of [HoldVariable] holds. All but an empty one, 0 and false do: a
// misspelt yes must not release a mount.
func IsHold(value string) bool { return value != "" && value != "0" && value != "false" }

// MayChange returns [ErrHeld] while the mounts of this process are held.
func MayChange(h *host.Host) error {
	if h.Hold {
		return ErrHeld
	}
	return nil
}

// MayChange is [MayChange] for the account's mount.
func (acct *Account) MayChange() error { return MayChange(acct.Host) }
