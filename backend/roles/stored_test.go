// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package roles

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

// storedV1 returns one full entry of each kind, as version 1 stores it.
func storedV1() map[string]any {
	defaults := account.OrderDefaults{
		Requestor: certinext.Contact{
			Name: "Platform Team", Email: "platform@example.com", Phone: "+14155550123",
			Designation: "Operations",
		},
		TechnicalContact: certinext.Contact{Name: "Platform Team", Email: "platform@example.com"},
		Delegation:       certinext.Contact{Name: "Platform Team", Email: "p@example.com"},
		SignerName:       "Platform Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7",
		GroupNumber: "3000000001", OrganizationNumber: "4000001", ConsentToken: "consent-token",
		EmailNotifications: "0", AccountingModel: certinext.AccountingCash,
	}
	return map[string]any{
		"role": newStored(&issuing.Role{
			Name: "web", ProductCode: "844", Variant: "dv-ucc",
			OrderDefaults: defaults, ConsentFor: "https://us-api.certinext.io",
			ValidityYears: 2, AutoRenew: true, RenewBeforeDays: 30, AutoSecureWWW: true,
			CustomFields: map[string]string{"17": "x"}, Tags: []string{"team:web"}, Remarks: "r",
			RecipientEmails: []string{"ops@example.com"}, CAProfileID: "1", MasterProductID: "2",
			Subject:              map[string]string{"email": "{{identity.entity.metadata.email}}"},
			AllowedSubjectFields: []string{"designation"}, Attested: true,
			DCVMethod: certinext.DCVMethodHTTP,
			DNS: issuing.DNSValidation{
				Solver: "corp", Hosts: []string{"_c.{domain}"}, Resolvers: []string{"192.0.2.1"},
				PropagationServers: []string{"192.0.2.2:5353"}, PropagationTimeout: time.Minute,
			},
			AllowedDomains: []string{"example.com"}, AllowedDomainsTemplate: true,
			AllowBareDomains: true, AllowSubdomains: true, AllowGlobDomains: true,
			AllowWildcardCertificates: true, AllowAnyName: true, AllowIPSANs: true,
			RequireCN: true, Key: issuing.KeySpec{Type: "rsa", Bits: 3072},
			AllowReissue: true, RekeyOrders: true, RenewalWindow: 720 * time.Hour,
			IssueTimeout: 45 * time.Second, DeliveryGrace: 5 * time.Minute,
			PickupWindow: time.Hour, RevokeUnclaimed: true,
			GenerateLease: true, TTL: time.Hour, MaxTTL: 2 * time.Hour,
		}),
	}
}

// storedV2 returns one full entry of each kind that has changed since.
func storedV2() map[string]any {
	all := storedV1()
	window := 10 * time.Minute
	role := all["role"].(*stored)
	role.ReuseWindow = &window
	role.OrderAccess = issuing.AccessRequester
	role.ConsentOrg = "4000001"
	role.RevocationDelay = 2 * time.Hour
	return all
}

// storedV3 returns one full entry of each kind that has changed since.
func storedV3() map[string]any {
	all := storedV2()
	role := all["role"].(*stored)
	role.Unchecked, role.CheckedFor = true, "https://us-api.certinext.io 1000000001"
	return all
}

// storedV4 returns one full entry of each kind that has changed since.
func storedV4() map[string]any {
	all := storedV3()
	role := all["role"].(*stored)
	role.RequireApproval, role.ApprovalTimeout, role.MaxUnapproved = true, 36*time.Hour, 12
	role.Renewal = issuing.RenewalReissue
	role.MaxNames = 10
	role.RevokeReplaced = 72 * time.Hour
	role.Reuse, role.ReuseFor = true, 720*time.Hour
	role.RequesterIn = []string{"remarks", "field:456"}
	role.RenewAhead, role.RenewAheadFor = "10%", 720*time.Hour
	role.ReplaceRevoked = true
	role.Trust = issuing.TrustRefuse
	role.ClientFlag = new(bool)
	return all
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
	storetest.Compare(t, "v3", storedV3())
	storetest.Compare(t, "v4", storedV4())
}

// No field is lost between a role and its stored form.
func TestARoleSurvivesStorage(t *testing.T) {
	role := storedV4()["role"].(*stored)
	require.Equal(t, role, newStored(role.role("web")))
}
