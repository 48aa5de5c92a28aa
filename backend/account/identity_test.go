// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnAccountKeepsItsName(t *testing.T) {
	const us = "https://us-api.certinext.io"
	first := Config{BaseURL: us, ClientID: "application-1", Number: "1234567890"}
	for name, c := range map[string]struct {
		before, after Config
		want          string // the name of after's account
	}{
		"the first config": {
			Config{}, Config{BaseURL: us, ClientID: "application-1"}, us + "|application-1",
		},
		"the same, spelled otherwise": {
			first,
			Config{BaseURL: "HTTPS://US-API.certinext.io:443/", ClientID: "application-1"},
			us + "|application-1",
		},
		"another client of the same number": {
			first,
			Config{BaseURL: us, ClientID: "application-2", Number: "1234567890"},
			us + "|application-1",
		},
		"a third client of the same number": {
			Config{
				BaseURL: us, ClientID: "application-2", Number: "1234567890",
				Name: us + "|application-1",
			},
			Config{BaseURL: us, ClientID: "application-3", Number: "1234567890"},
			us + "|application-1",
		},
		"the access key of that number, unverified": {
			first, Config{BaseURL: us, AccountNumber: "1234567890"}, us + "|application-1",
		},
		"a client that was never asked for its number, and is called by it": {
			Config{BaseURL: us, ClientID: "1234567890"},
			Config{BaseURL: us, ClientID: "application-2", Number: "1234567890"},
			us + "|1234567890",
		},
		"another number": {
			first,
			Config{BaseURL: us, ClientID: "application-2", Number: "9999999999"},
			us + "|application-2",
		},
		"another client that CERTInext was not asked about": {
			first, Config{BaseURL: us, ClientID: "application-2"}, us + "|application-2",
		},
		"the same number in another region": {
			first,
			Config{
				BaseURL: "https://eu-api.certinext.io", ClientID: "application-1",
				Number: "1234567890",
			},
			"https://eu-api.certinext.io|application-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.after.Name = c.after.nameAfter(&c.before)
			require.Equal(t, c.want, c.after.Account())
		})
	}
}

func TestWhatHoldsAMount(t *testing.T) {
	for value, holds := range map[string]bool{
		"": false, "0": false, "false": false, "1": true, "true": true, "yes": true, "ture": true,
	} {
		require.Equal(t, holds, IsHold(value), value)
	}
}
