// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

// open are the promises that are known to be broken, each with what breaks it. The list is to be empty.
var open = map[string]string{}
