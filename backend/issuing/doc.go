// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package issuing turns a request, under a role, into a plan, or says which field is wrong.
//
// It promises that the same requester's same request, however it is phrased, has the same fingerprint, and
// that nothing is planned that the role does not allow or that CERTInext is known to refuse. It is pure: it knows
// no storage, no network and no clock, and it draws on chance for new private keys only.
package issuing
