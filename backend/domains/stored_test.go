// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package domains

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// storedV1 returns one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"domain": &stored{
			Version: 1, Name: "example.com", OrganizationNumber: "4000001",
			Account: "https://us-api.certinext.io|1234567890", Method: certinext.DCVMethodDNS,
			DNS: issuing.StoredDNS{
				Solver: "corp", Hosts: []string{"_c.{domain}"}, PropagationTimeout: time.Minute,
			},
			Keep: true, RenewBefore: time.Hour,
			DomainID: "d-1", ValidatedAt: at, ValidTill: at, Waiting: true,
			Renewal: &validation.Proof{
				Domain: "example.com", Method: certinext.DCVMethodDNS,
				DNSNames: []string{"h"}, DNSValue: "v", AskedAt: at,
			},
			Attempts: 1, NextAt: at, LastError: "e",
		},
	}
}

// storedV2 is one full entry of each kind that has changed since.
func storedV2() map[string]any {
	all := storedV1()
	all["domain"].(*stored).Until = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	return all
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
}
