// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

func TestCAARecordsAreThoseOfTheNameAfterAliases(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test", Records: []string{
		`www CAA 128 issue "ca.example; a=b"`, `www CAA 0 iodef "mailto:a@example.test"`,
		"alias CNAME www", "far CNAME alias", "round CNAME circle", "circle CNAME round", "empty CNAME nothing",
	}}, dcvtest.Zone{Name: "other.test", Records: []string{"away CNAME www.example.test."}})
	r := &dcv.Resolver{Servers: []string{s.Addr}}
	want := []dcv.CAARecord{{Critical: true, Tag: "issue", Value: "ca.example; a=b"}, {Tag: "iodef", Value: "mailto:a@example.test"}}
	for _, name := range []string{"www.example.test", "WWW.example.test.", "alias.example.test", "far.example.test", "away.other.test"} {
		records, err := r.CAA(t.Context(), name)
		require.NoError(t, err, name)
		require.ElementsMatch(t, want, records, name)
	}
	for _, name := range []string{"example.test", "nothing.example.test", "empty.example.test"} {
		records, err := r.CAA(t.Context(), name)
		require.NoError(t, err, name)
		require.Empty(t, records, name)
	}
	_, err := r.CAA(t.Context(), "round.example.test")
	require.ErrorContains(t, err, "looking up CAA round.example.test")
	_, err = (&dcv.Resolver{Servers: []string{"127.0.0.1:9"}}).CAA(t.Context(), "www.example.test")
	require.ErrorContains(t, err, "looking up CAA www.example.test at 127.0.0.1:9")
}
