// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestQuirk37ProductTypesAreAmbiguous(t *testing.T) {
	_, c := newRig(always(200, `{"products":[{"categoryID":3,"categoryName":"SSL","currencyType":"USD","products":[
		{"productCode":974,"productName":"OV","productTypeID":16},{"productCode":"955","productName":"OV 30 days","productTypeID":"16"},
		{"productName":"no code","productTypeID":"13"},"junk"]}]}`))
	products, err := c.Products(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, products, 2, "both, and no guess")
	assert.Equal(t, "974", products[0].Code)
	assert.Equal(t, "ov", products[1].Variant)

	_, c = newRig(always(200, `[{"productCode":"149","productType":"private-pki","price":"12.5"},{"productCode":"9","productType":"moon","price":{"1 Year":7}}]`))
	products, err = c.Products(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, certinext.FamilyPrivatePKI, products[0].Family)
	assert.Equal(t, map[string]string{"": "12.5"}, products[0].Prices)
	assert.Empty(t, products[1].Family)
	assert.Equal(t, map[string]string{"1 Year": "7"}, products[1].Prices)

	for typeID, variant := range map[string]string{
		"10": "natural-person", "11": "legal-person", "12": "legal-entity", "13": "dv", "14": "dv-wildcard", "15": "dv-ucc", "16": "ov",
		"17": "ov-wildcard", "18": "ov-ucc", "19": "ev", "20": "ev-ucc", "21": "dv-wildcard-ucc", "22": "ov-wildcard-ucc",
		"39": "private-pki", "41": "smime", "99": "",
	} {
		_, c = newRig(always(200, `[{"productCode":"1","productTypeID":"`+typeID+`"}]`))
		products, err = c.Products(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, variant, products[0].Variant, typeID)
	}
}

func TestCustomFieldShapes(t *testing.T) {
	for body, want := range map[string]int{
		`{"customFields":[]}`: 0, `{"customFields":null}`: 0, `{"customFields":""}`: 0, `[]`: 0, `{}`: 0,
		`{"customFields":[{"fieldId":"1","name":"a"},{"fieldId":2}]}`:                        2,
		`{"certificateInformation":[{"fieldId":"1"}],"additionalInformation":{"fieldId":2}}`: 2,
		`{"customFields":[{"certificateInformation":"none","x":[{"name":"no id"}]}]}`:        0,
	} {
		_, c := newRig(always(200, body))
		specs, err := c.CustomFields(t.Context(), "974")
		require.NoError(t, err, body)
		assert.Len(t, specs, want, body)
	}
}

func TestAccountShapes(t *testing.T) {
	_, c := newRig(always(200, `{"organizationNumber":1,"domains":["a.example","",{"x":1}],"orgRepresentatives":[
		{"mobileNumber":"+14155550123","isdCode":"1"},{"mobileNumber":"4155550123"},"junk"]}`))
	o, err := c.Organization(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, []string{"a.example"}, o.Domains)
	assert.Equal(t, "+14155550123", o.Representatives[0].Phone)
	assert.Equal(t, "4155550123", o.Representatives[1].Phone)
	assert.Nil(t, o.AgreementSigned)

	_, c = newRig(always(404, `{"status":404,"error":"Not Found"}`))
	_, err = c.Organization(t.Context(), "1")
	assert.True(t, certinext.HasStatus(err, 404))
}
