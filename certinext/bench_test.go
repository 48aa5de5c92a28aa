// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// BenchmarkReportPage reads a full page of the orders report, as looking for a lost order does many
// times over.
func BenchmarkReportPage(b *testing.B) {
	_, c := newRig(reportOf(100))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, err := range c.OrdersReport(b.Context(), certinext.ReportFilter{}) {
			require.NoError(b, err)
			n++
		}
		require.Equal(b, 100, n)
	}
}
