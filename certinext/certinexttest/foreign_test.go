// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestForeignOrdersBelongToTheAccount(t *testing.T) {
	for name, catalog := range map[string][]certinexttest.Product{
		"of the sandbox": nil, "empty": {}, "of private PKI": {{Code: "149", Name: "Intranet", Type: "39"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{Catalog: catalog})
			r.srv.AddForeignOrders(3)
			rows, _ := r.report("")
			require.Len(t, rows, 3)
			require.Equal(t, "842", r.srv.Orders()[0].ProductCode)
			r.srv.Reset()
			r.login()
			rows, _ = r.report("")
			require.Len(t, rows, 3, "a reset begins with the account as it was")
		})
	}
}
