// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing_test

import (
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/stretchr/testify/require"
)

func TestAnOrderTellsWhoAskedWhereTheRoleSaysSo(t *testing.T) {
	role := func(places ...string) *issuing.Role {
		return &issuing.Role{
			Remarks: "for the web", Tags: []string{"team:web"},
			CustomFields: map[string]string{"1": "x"}, RequesterIn: places,
		}
	}
	silent := issuing.Told{
		Remarks: "for the web", Tags: []string{"team:web"},
		CustomFields: map[string]string{"1": "x"},
	}
	require.Equal(t, silent, role().Tells("ann", "payments"))
	require.Equal(t, silent, role("none").Tells("ann", "payments"))
	require.Equal(t, silent, role("remarks", "tags", "field:2").Tells("", ""))

	got := role("remarks").Tells("ann", "payments")
	require.Equal(t, "for the web requested by ann, owner payments", got.Remarks)
	require.Equal(t, silent.Tags, got.Tags)
	got = role("tags").Tells("ann", "payments")
	require.Equal(t, []string{"team:web", "requester:ann", "owner:payments"}, got.Tags)
	require.Equal(t, silent.Remarks, got.Remarks)
	r := role("field:2")
	got = r.Tells("ann", "")
	require.Equal(t, map[string]string{"1": "x", "2": "ann"}, got.CustomFields)
	require.Equal(t, silent.CustomFields, r.CustomFields, "the role is as it was")
	require.Len(t, r.FieldsAsSent()["2"], 50)
	require.Equal(t, []string{"team:web"}, role("tags").Tags)
}

// Names are chosen by people, and CERTInext and the engine read them.
func TestWhatIsToldCannotBeTakenForSomethingElse(t *testing.T) {
	r := &issuing.Role{RequesterIn: []string{"remarks", "tags", "field:2"}}
	for _, name := range []string{
		"vault-order:abc", "VAULT-ORDER:abc", "vault-ordervault-order::abc", "x; y", "a\nb", "a:b:c",
		strings.Repeat("é", 200), strings.Repeat("vault-order:", 50),
	} {
		got := r.Tells(name, name)
		all := strings.Join(append(got.Tags, got.Remarks, got.CustomFields["2"]), "\n")
		require.NotContains(t, strings.ToLower(all), "vault-order:", name)
		require.NotContains(t, all, ";", name)
		require.NotContains(t, got.Remarks, "\n", name)
		require.LessOrEqual(t, len(got.CustomFields["2"]), 50)
		for _, tag := range got.Tags {
			kind, value, _ := strings.Cut(tag, ":")
			require.Contains(t, []string{"requester", "owner"}, kind)
			require.LessOrEqual(t, len(value), 30)
			require.NotContains(t, value, ":")
			require.Equal(t, value, strings.ToValidUTF8(value, ""), tag)
		}
	}
}
