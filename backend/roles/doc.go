// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package roles keeps the roles of a mount in its storage: one entry each, under the role's name. It reads what
// every earlier version has written. What a role may say is the business of package issuing.
package roles
