// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// The published table of create errors is that of all families. The bodies are the collection's own
// samples.
func TestPublishedCreateErrors(t *testing.T) {
	signer := m{
		"subjectType": "natural-person", "emailNotifications": "all",
		"requestor":    m{"name": "Jane Doe", "email": "jane@example.com", "phone": "+19481081094", "designation": "Signer"},
		"subject":      m{"givenName": "Jane", "surname": "Doe", "email": "jane@example.com", "countryCode": "IN"},
		"subscription": m{"validityYears": 1, "autoRenew": false},
		"agreement":    m{"signerName": "Jane Doe", "signerIp": "10.24.108.199", "signerPlace": "Bangalore", "accepted": true},
	}
	private := m{
		"variant": "intranet-ssl", "caProfileId": "1", "masterProductId": "1",
		"hostname": "intranet.example.local", "additionalHosts": []string{"portal.example.local"}, "emailNotifications": "all",
		"subscription": m{"validityYears": 1},
		"requestor":    m{"name": "Ops Team", "email": "ops@example.com", "phone": "+19481081094", "designation": "Infra"},
	}
	families := map[string]struct {
		path, product string
		body          m
		codes         map[string]string // of the blocks, when they are missing
	}{
		"SSL": {sslPath, "842", dvOrder("example.com"), map[string]string{
			"requestor": "EMS-916", "certificate": "EMS-917", "remarks": "EMS-918", "subscription": "EMS-919", "agreement": "EMS-920",
		}},
		"a document signer": {signaturePath, "819", signer, map[string]string{
			"requestor": "EMS-916", "subject": "EMS-917", "subscription": "EMS-919", "agreement": "EMS-920",
		}},
		"private PKI": {privatePath, "149", private, map[string]string{
			"requestor": "EMS-916", "subscription": "EMS-919",
		}},
	}
	for name, f := range families {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
			for block, code := range f.codes {
				r.post(f.path, merge(f.body, m{block: nil}), "X-Product-Code", f.product).refused(422, code)
			}
			require.Empty(t, r.srv.Orders())
			r.post(f.path, f.body, "X-Product-Code", f.product).must(201)
		})
	}
}
