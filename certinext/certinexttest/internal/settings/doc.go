// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package settings gives the fields of a struct names, so that flags, a JSON object and an
// administration path set the same ones, by the same rules, from one list. It knows nothing of what
// the fields mean.
package settings
