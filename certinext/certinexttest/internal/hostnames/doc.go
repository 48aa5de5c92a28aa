// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package hostnames judges whether a public CA may certify a name of a host: its form, whether it
// is in the public DNS, and whether it has an owner. [Check] says which rule a name breaks and
// where the rule is written. Who the owner is, and whether he allows it, is not asked.
//
// It knows no orders and asks nobody: the public suffixes are those of golang.org/x/net.
package hostnames
