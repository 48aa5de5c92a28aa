// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

func TestFitCustomFields(t *testing.T) {
	specs := []certinext.CustomFieldSpec{
		{ID: "17", Name: "Cost centre", Mandatory: true, MaxLength: 4},
		{ID: "18", Name: "Region", Values: []string{"emea", "apac"}},
		{ID: "19", Mandatory: true},
	}
	for name, c := range map[string]struct {
		values  map[string]string
		refused string // "" for none
	}{
		"all that must be": {values: map[string]string{"17": "4711", "19": "x"}},
		"a permitted value": {
			values: map[string]string{"17": "4711", "18": "apac", "19": "x"},
		},
		"characters count, not bytes": {values: map[string]string{"17": "ñand", "19": "x"}},
		"nothing that must be": {
			refused: "custom_fields: the product cannot be ordered without 17 (Cost centre), 19",
		},
		"an empty value is none": {
			values: map[string]string{"17": "4711", "19": ""}, refused: "without 19",
		},
		"too long": {
			values:  map[string]string{"17": "47110", "19": "x"},
			refused: "17 (Cost centre) is longer than 4 characters",
		},
		"a value that is not permitted": {
			values:  map[string]string{"17": "4711", "18": "mars", "19": "x"},
			refused: `"mars" is not a value of 18 (Region), which takes emea, apac`,
		},
		"a field that the product lacks": {
			values:  map[string]string{"17": "4711", "19": "x", "20": "y"},
			refused: "custom_fields: the product has no field 20",
		},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckCustomFields(specs, c.values)
			if c.refused == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.refused)
			}
		})
	}
	require.NoError(t, CheckCustomFields(nil, map[string]string{"20": "y"}),
		"an empty list says nothing")
}
