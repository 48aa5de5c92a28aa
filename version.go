// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

// Version is the version that the plugin reports to Vault. Release builds set it at link time.
var Version = "v0.1.0-dev"
