// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package keyed has locks and caches by key, all of which end with their caller's context. They know
// nothing of what they keep.
package keyed
