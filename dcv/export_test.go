// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

// WithoutDescriptors makes the system one that has no /dev/fd, until it is restored.
func WithoutDescriptors() (restore func()) {
	was := descriptors
	descriptors = "/nowhere/fd"
	return func() { descriptors = was }
}
