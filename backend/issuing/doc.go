// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package issuing turns a request and its role into a [Plan], or says which field is wrong.
//
// The same request of the same requester has the same fingerprint, however it is phrased (ADR
// 0020). Nothing is planned that the role does not allow, or that CERTInext is known to refuse. The
// package is pure: it uses no storage, no network and no clock, and randomness only for new keys
// and CSRs.
package issuing
