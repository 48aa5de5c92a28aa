// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

// A Trust says what becomes of a certificate that clients refuse, as far as the mount knows them.
type Trust string

// What becomes of such a certificate.
const (
	TrustWarn   Trust = "warn"   // it is handed over, with a warning
	TrustRefuse Trust = "refuse" // it is held until an operator releases it
)
