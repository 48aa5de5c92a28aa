// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package reuse keeps what a request is answered with long after its certificate was handed over,
// where the role asks for that, and decides whether it is (ADR 0041): the certificate that the same
// request bought, as long as no client would renew it at once.
//
// It promises three things. A private key is kept for no longer than a request can be answered with
// it, and below [KeyPrefix] only, which is to be sealed. Whatever storage holds, [Why] has the last
// word, so that an entry that is out of date costs a certificate at worst and never answers for
// another one. And it reads no more for a request than the one entry of that request.
//
// [Why] is pure. The package knows certificates by their serial numbers and requests by their
// fingerprints. It knows neither orders nor roles nor CERTInext, and no clock.
package reuse
