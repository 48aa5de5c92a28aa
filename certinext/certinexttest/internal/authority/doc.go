// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package authority is the certificate authority behind the simulated CERTInext. It knows keys,
// certificates, revocations and what a CA publishes of them over HTTP, and nothing of orders,
// accounts and the API: what a certificate is for is told by who has it signed.
package authority
