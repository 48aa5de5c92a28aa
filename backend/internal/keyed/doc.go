// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package keyed has locks and caches by key. A caller that waits for one stops when its context
// ends.
package keyed
