// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package roles stores the roles of a mount, one entry each, under the role's name. It reads the
// entries of all earlier versions. Package issuing decides what a valid role is.
package roles
