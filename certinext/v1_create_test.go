// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestV1CreateRefusesWhatCannotSucceed(t *testing.T) {
	for field, change := range map[string]func(*certinext.OrderRequest){
		"Family":          func(r *certinext.OrderRequest) { r.Family = "code-signing" },
		"ProductCode":     func(r *certinext.OrderRequest) { r.ProductCode = "" },
		"Requestor.Email": func(r *certinext.OrderRequest) { r.Requestor.Email = "" },
		"Domain":          func(r *certinext.OrderRequest) { r.Domain = "10.0.0.1" },
		"CAProfileID":     func(r *certinext.OrderRequest) { r.CAProfileID = "1" },
		"MasterProductID": func(r *certinext.OrderRequest) { r.MasterProductID = "1" },
		"AccountingModel": func(r *certinext.OrderRequest) { r.AccountingModel = "barter" },
		"CSR":             func(r *certinext.OrderRequest) { r.Family, r.Variant = certinext.FamilyPrivatePKI, "intranet-ssl" },
		"Subject.Email":   func(r *certinext.OrderRequest) { r.Family, r.Subject = certinext.FamilySMIME, &certinext.Subject{} },
		"Extra[x]":        func(r *certinext.OrderRequest) { r.Extra = map[string]any{"x": func() {}} },
	} {
		g, c := newV1Rig(always(200, createdV1))
		r := dvOrder()
		change(&r)
		_, err := c.CreateOrder(t.Context(), r)
		var invalid *certinext.InvalidRequestError
		require.ErrorAs(t, err, &invalid, field)
		assert.Equal(t, field, invalid.Field)
		assert.False(t, certinext.MayHaveActed(err))
		assert.Empty(t, g.sentCalls())
	}
}

func TestQuirk44SignerIPAndRemarks(t *testing.T) {
	for ip, ok := range map[string]bool{
		"203.0.113.7": true, "2001:db8::7": true, "": false, "127.0.0.1": false, "::1": false, "10.1.2.3": false, "fe80::1": false,
		"fd00::1": false, "0.0.0.0": false, "224.0.0.1": false, "host.example.com": false, "255.255.255.255": false, "169.254.0.1": false,
	} {
		agreement := certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: ip, Accepted: true}
		_, c := newV1Rig(byVerb(always(200, createdV1)))
		r := dvOrder()
		r.Agreement = &agreement
		_, err := c.CreateOrder(t.Context(), r)
		assert.Equal(t, ok, err == nil, "%q: %v", ip, err)
		err = c.AcceptAgreement(t.Context(), certinext.FamilySSL, "1", agreement)
		assert.Equal(t, ok, err == nil, "%q: %v", ip, err)
	}
	g, c := newV1Rig(always(200, createdV1))
	for _, remarks := range []string{"", ";;", "one; two\nthree", strings.Repeat("x", 600)} {
		r := dvOrder()
		r.Remarks = remarks
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
	}
	for i, want := range []string{"Ordered through the CERTInext API", ",,", "one, two three", strings.Repeat("x", 499) + "…"} {
		assert.Contains(t, g.sentCalls()[i].body, `"remarks":"`+want+`"`)
	}
}

func TestV1Phones(t *testing.T) {
	for phone, want := range map[string][2]string{
		"+14155550123": {"1", "4155550123"}, "+79161234567": {"7", "9161234567"}, "+442071234567": {"44", "2071234567"},
		"+91 98765-43210": {"91", "9876543210"}, "+353 86 123 4567": {"353", "861234567"}, "+8801712345678": {"880", "1712345678"},
		"+6591234567": {"65", "91234567"}, "+6731234567": {"673", "1234567"}, "+2348012345678": {"234", "8012345678"},
		"+27821234567": {"27", "821234567"}, "5551234567": {"", "5551234567"}, "": {"1", ""}, "+": {"1", ""}, "+4": {"4", ""}, "+1": {"1", ""},
	} {
		g, c := newV1Rig(always(200, createdV1))
		r := dvOrder()
		r.Requestor.Phone = phone
		_, err := c.CreateOrder(t.Context(), r)
		require.NoError(t, err)
		assert.Contains(t, g.sentCalls()[0].body,
			`"requestorIsdCode":"`+want[0]+`","requestorMobileNumber":"`+want[1]+`"`, phone)
	}
}
