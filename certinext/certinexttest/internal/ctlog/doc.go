// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package ctlog has logs of Certificate Transparency as far as a certificate shows them (RFC
// 6962): a [Log] promises by a signed timestamp to enter a precertificate, and [Embedded] are those
// promises as an extension of the certificate. It keeps no entries and has no tree, so that nobody
// can be shown that a promise was kept.
//
// It knows neither orders nor the authority whose certificates it signs for, nor a clock.
package ctlog
