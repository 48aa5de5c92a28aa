// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package preview says what a request for a certificate would come to, before anything is done for
// it (ADR 0038): the sorts of answer that there are, whether one of them buys, and what a purchase
// costs in a year.
//
// It is pure. What was found of a request, its price and its role come from its caller; the package
// stores nothing, asks nobody, and knows no orders.
package preview
