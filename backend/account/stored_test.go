// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

// storedV1 is one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	defaults := OrderDefaults{
		Requestor: certinext.Contact{
			Name:        "Platform Team",
			Email:       "platform@example.com",
			Phone:       "+14155550123",
			Designation: "Operations",
		},
		TechnicalContact: certinext.Contact{
			Name:  "Platform Team",
			Email: "platform@example.com",
		}, Delegation: certinext.Contact{Name: "Platform Team", Email: "p@example.com"},
		SignerName: "Platform Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7",
		GroupNumber: "3000000001", OrganizationNumber: "4000001", ConsentToken: "consent-token",
		EmailNotifications: "0", AccountingModel: certinext.AccountingCash,
	}
	return map[string]any{
		"config": newStoredConfig(&Config{
			BaseURL: "https://us-api.certinext.io", APIVersion: "v1",
			ClientID: "1234567890", ClientSecret: "client-secret", OrderDefaults: defaults,
			RequestTimeout: time.Minute, CreateTimeout: 3 * time.Minute, RequestsPerSecond: 5,
			TrustIdempotencyKey: true, AbsentAfter: time.Hour, DefaultProductCode: "842",
		}),
	}
}

// storedV2 is one full entry of each kind that has changed since.
func storedV2() map[string]any {
	all := storedV1()
	config := all["config"].(*storedConfig)
	config.Ordering = orderingPaused
	config.Number, config.Name = "1234567890", "https://us-api.certinext.io|application-1"
	config.NamelessCSR = true
	return all
}

// storedV3 is one entry of each kind that has come since.
func storedV3() map[string]any {
	return map[string]any{"account": &storedName{
		Version: 1, Address: "https://us-api.certinext.io", Number: "1234567890",
		Name: "https://us-api.certinext.io|application-1",
	}}
}

// storedV4 is one full entry of each kind that has changed since.
func storedV4() map[string]any {
	config := storedV2()["config"].(*storedConfig)
	config.ProductPrices = map[string]string{"842": "25.00", "842/2": "45.00"}
	config.AllowedProducts = []string{"842", "846"}
	return map[string]any{"config": config}
}

// storedV5 is one full entry of each kind that has changed since.
func storedV5() map[string]any {
	config := storedV4()["config"].(*storedConfig)
	config.SyncInterval, config.PresumeAbsent = time.Hour, 72*time.Hour
	return map[string]any{"config": config}
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
	storetest.Compare(t, "v3", storedV3())
	storetest.Compare(t, "v4", storedV4())
	storetest.Compare(t, "v5", storedV5())
}

// TestConfigSurvivesStorage checks that no field is lost between a config and its entry.
func TestConfigSurvivesStorage(t *testing.T) {
	config := storedV5()["config"].(*storedConfig)
	require.Equal(t, config, newStoredConfig(config.config()))
}
