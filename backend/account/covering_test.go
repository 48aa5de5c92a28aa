// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account_test

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestWhichValidationCoversAHost(t *testing.T) {
	soon := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	later := soon.AddDate(0, 1, 0)
	list := account.DomainList{Domains: []certinext.Domain{
		{Name: "Example.com", Status: "ACTIVE", DCVStatus: "verified", ValidTill: soon},
		{Name: "b.example.com", DCVStatus: "VERIFIED", ValidTill: later},
		{Name: "c.example.com", DCVStatus: "PENDING", ValidTill: later},
		{Name: "d.example.org", Status: "INACTIVE", DCVStatus: "VERIFIED", ValidTill: later},
		{Name: "", DCVStatus: "VERIFIED", ValidTill: later},
	}}
	for host, want := range map[string]string{
		"example.com":     "Example.com",
		"a.example.com":   "Example.com",
		"b.example.com":   "b.example.com",
		"x.b.example.com": "b.example.com",
		"c.example.com":   "Example.com",
		"bexample.com":    "",
		"d.example.org":   "",
		"example.org":     "",
	} {
		found, ok := list.Covering(host)
		require.Equal(t, want, found.Name, host)
		require.Equal(t, want != "", ok, host)
	}
}
