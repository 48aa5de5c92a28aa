// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package rules names the rules of the service behind its codes, and says where each is known from.
// It knows the codes alone: what breaks a rule is found elsewhere.
package rules
