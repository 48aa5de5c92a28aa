// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"
)

// errReading is what storage answers to a write of a request that writes nothing.
var errReading = errors.New("this request writes nothing (dry_run)")

// reading is storage that is only read.
type reading struct{ logical.Storage }

// Reading returns storage for a request that writes nothing. It refuses every write, so that what
// such a request comes to cannot depend on one.
func Reading(s logical.Storage) logical.Storage {
	if IsReading(s) {
		return s
	}
	return reading{s}
}

// IsReading reports whether storage is that of a request that writes nothing.
func IsReading(s logical.Storage) bool {
	_, is := s.(reading)
	return is
}

// Put implements [logical.Storage].
func (reading) Put(context.Context, *logical.StorageEntry) error { return errReading }

// Delete implements [logical.Storage].
func (reading) Delete(context.Context, string) error { return errReading }
