// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Nothing is sent: the client has no way to a server.
func TestReissueRefusesWhatCannotSucceed(t *testing.T) {
	for name, c := range map[string]struct {
		version certinext.APIVersion
		family  certinext.Family
		request certinext.ReissueRequest
		field   string
	}{
		"version 1 has none":         {certinext.V1, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x"}, "Version"},
		"other families have none":   {certinext.V2, certinext.FamilyPrivatePKI, certinext.ReissueRequest{CSR: "x"}, "Family"},
		"there is a new key":         {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{}, "CSR"},
		"names are DNS names":        {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x", UpdateNames: true, AdditionalDomains: []string{"192.0.2.1"}}, "AdditionalDomains"},
		"reasons are those of X.509": {certinext.V2, certinext.FamilySSL, certinext.ReissueRequest{CSR: "x", RevokePrevious: true, RevokeReason: "boredom"}, "Reason"},
	} {
		t.Run(name, func(t *testing.T) {
			client := &certinext.Client{
				BaseURL: "https://ca.test", Version: c.version,
				Credentials: certinext.OAuth{ClientID: "1234567890", ClientSecret: "client-secret"},
			}
			_, err := client.ReissueOrder(t.Context(), c.family, "1000000001", c.request)
			var invalid *certinext.InvalidRequestError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, c.field, invalid.Field)
			require.False(t, certinext.MayHaveActed(err))
		})
	}
}
