// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import "strings"

// MarkerPrefix begins the tag that each order of the mount carries, its marker. By it, an order
// whose answer was lost is found in CERTInext's records (ADR 0009).
const MarkerPrefix = "vault-order:"

// IsMarker reports whether a tag is a marker of an order, in any case.
func IsMarker(tag string) bool { return strings.HasPrefix(strings.ToLower(tag), MarkerPrefix) }
