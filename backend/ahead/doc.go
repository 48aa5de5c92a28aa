// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package ahead remembers which certificates are to be renewed before their requesters ask for it
// (ADR 0040): what was asked for, and from when on a successor is made. It decides when that is,
// when it is tried again, and when it is not done any more.
//
// What is remembered is filed by the time at which something is to be done, so that a background
// pass reads no more than what is due.
//
// It makes no order, asks CERTInext nothing, and knows no certificate but by what it is told.
package ahead
