// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// replacedPrefix is followed by a role, a hash of what certificates are for and of whose they are,
// and the serial number, with dashes, of one that is to be replaced before its time: by it, the
// next request for the same names finds what it replaces.
const replacedPrefix = "replacing/"

// A Replaced is the entry of a certificate that is to be replaced. It says all by its key.
type Replaced struct {
	Version int `json:"version"`
}

func replacedKey(role, names, serial string) string {
	return replacedPrefix + role + "/" + names + "/" + serial
}

// RememberReplaced stores that a certificate is to be replaced.
func RememberReplaced(ctx context.Context, s logical.Storage, role, names, serial string) error {
	return store.Put(context.WithoutCancel(ctx), s, replacedKey(role, names, serial),
		&Replaced{Version: 1})
}

// ForgetReplaced removes what [RememberReplaced] has stored, if there is anything.
func ForgetReplaced(ctx context.Context, s logical.Storage, role, names, serial string) error {
	return store.Delete(context.WithoutCancel(ctx), s, replacedKey(role, names, serial))
}

// ReplacedOf returns the serial numbers, with dashes, of what is to be replaced for certain names.
func ReplacedOf(ctx context.Context, s logical.Storage, role, names string) ([]string, error) {
	return store.List(ctx, s, replacedPrefix+role+"/"+names+"/")
}
