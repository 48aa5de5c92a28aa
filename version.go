// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

// Version is what the plugin reports to Vault. Releases set it when they are linked.
var Version = "v0.1.0-dev"
