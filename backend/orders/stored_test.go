// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"net"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store/storetest"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// storedV1 returns one entry of each kind with all its fields, as version 1 stores it.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	return map[string]any{
		"order": &orderEntry{
			Version: 1, ID: "6f1d", Role: "web", Requester: "entity:e", RequestID: "deploy-17",
			Fingerprint: "f", State: StatePending, Draft: true,
			Account: "https://us-api.certinext.io|1234567890",
			Placement: placement{
				Family: certinext.FamilySSL, ProductCode: "844", Variant: "dv-ucc",
				DNSNames: []string{"www.example.com"},
				IPs:      []net.IP{net.IPv4(192, 0, 2, 1)},
				Subject:  issuing.Subject{"email": "platform@example.com"}, Attested: true,
				KeyType: "ec", GroupNumber: "3000000001", OrganizationNumber: "4000001",
				ValidityYears: 1, AutoRenew: true, AutoSecureWWW: true, RenewBeforeDays: 30,
				CustomFields: map[string]string{"17": "x"}, Keyless: true,
				Tags: []string{"team:web"}, Remarks: "vault-order:k",
				RecipientEmails: []string{"ops@example.com"},
				CAProfileID:     "1", MasterProductID: "2",
				Requestor: account.StoredContact{
					Name: "Platform Team", Email: "platform@example.com",
				},
				TechnicalContact: account.StoredContact{Name: "Platform Team"},
				Delegation: account.StoredContact{
					Name: "Platform Team", Email: "p@example.com",
				},
				SignerName: "Platform Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7",
				EmailNotifications: "0", AccountingModel: certinext.AccountingCash,
				IdempotencyKey: "k",
			},
			CSR: "csr", PrivateKey: "key",
			CAOrderID: "1000000001", CARequestID: "2000000001",
			CAStatus: certinext.StatusPendingApproval, CAState: "Pending for Approver",
			CSRRefused: true, PromotionKey: "p", PromotedAt: at, Discarding: true,
			CreatedAt: at, UpdatedAt: at, Serial: "0a-1b", Delivered: true,
			Needs: []string{"n"}, LastError: "e",
			Proofs: []validation.Proof{{
				Domain: "d", Method: certinext.DCVMethodDNS,
				DNSNames: []string{"h"}, DNSValue: "v", HTTPPath: "/p", HTTPContent: "c",
				EmailTo: []string{"a@example.com"}, AskedAt: at,
			}},
			Solver: "corp", Stuck: true, Timeline: []Event{{At: at, What: "requested"}},
			TTL: time.Hour, Grace: 5 * time.Minute, Pickup: time.Hour, RevokeUnclaimed: true,
			Renews: "0a-19",
			Reissue: &reissue{
				Of: "6f1c", Serial: "0a-1a", RequestID: "2000000000", UpdateNames: true,
				Reason: "r", RevokePrevious: true, RevokeReason: certinext.ReasonSuperseded,
				Taken: true, StaleSince: at,
			},
		},
	}
}

// storedV2 returns one entry of each kind with the fields that were added since, too.
func storedV2() map[string]any {
	all := storedV1()
	at, window := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC), 10*time.Minute
	order := all["order"].(*orderEntry)
	order.Reuse = &window
	order.FinalSeen = sighting{Status: certinext.StatusRejected, At: at}
	order.ChainMissedAt = at
	order.Adopted = true
	order.Held = true
	order.DraftRequestID = "2000000002"
	order.CAAForbids = []string{"www.example.com"}
	order.Reopened = true
	return all
}

// storedV3 returns one entry of each kind with the fields that were added since, too.
func storedV3() map[string]any {
	all := storedV2()
	all["order"].(*orderEntry).NotBefore = time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	return all
}

// storedV4 returns one entry of each kind with the fields that were added since, too.
func storedV4() map[string]any {
	all := storedV3()
	order, at := all["order"].(*orderEntry), time.Date(2026, 11, 29, 9, 0, 0, 0, time.UTC)
	order.KeyUsed, order.OtherKeySince = true, at
	order.Subscription = &subscriptions.Subscription{EndsAt: at, Status: "active", Told: true}
	return all
}

// storedV5 returns one entry of each kind with the fields that were added since, too.
func storedV5() map[string]any {
	all := storedV4()
	order, at := all["order"].(*orderEntry), time.Date(2026, 11, 29, 13, 0, 0, 0, time.UTC)
	order.Names = "5f"
	order.Reissue.Renewal, order.Reissue.Ordered, order.Reissue.ChargesBefore = true, at, 1
	order.Reissue.Charge = &renewal.Statement{
		Verdict: renewal.Charged, Charges: 2, Amount: "150.00",
	}
	order.Approval = &approval{
		AskedBy: Person{EntityID: "e", DisplayName: "userpass-ann", Name: "ann"},
		AskedAt: at, ExpiresAt: at.Add(36 * time.Hour), Timeout: 36 * time.Hour, ByCSR: true,
		Decision: DecisionApproved, DecidedBy: Person{EntityID: "f", Name: "bob"}, DecidedAt: at,
		Remark: "r",
	}
	order.RevokeReplaced, order.Terms, order.ByCA = 72*time.Hour, "7e", true
	order.Ahead, order.Again = true, &ahead.Asked{
		Requester: "entity:e", EntityID: "e", DisplayName: "userpass-ann",
		DNSNames: []string{"www.example.com"}, IPs: []string{"192.0.2.1"}, TTL: time.Hour,
		ByCSR: true,
	}
	order.Cost, order.Abandoned = Cost{Price: "25.00", Currency: "USD"}, true
	order.Counted = []Counted{{Key: "spending/b/c", Period: "month", Begins: at}}
	order.Asked = &asking{
		By:      Person{EntityID: "e", DisplayName: "userpass-ann", Name: "ann"},
		VaultID: "v", Owner: "payments", Metadata: "eA==",
	}
	order.Subscription = &subscriptions.Subscription{
		EndsAt: at, Status: "active", Told: true, Price: "25.00", Currency: "USD",
	}
	return all
}

// storedV6 returns one entry of each kind with the fields that were added since, too.
func storedV6() map[string]any {
	all := storedV5()
	order := all["order"].(*orderEntry)
	order.AdoptedAt = time.Date(2026, 11, 29, 21, 0, 0, 0, time.UTC)
	order.PublicKey, order.NewestBefore = "spki", "0a-1a"
	order.Replaces, order.OwnKey = true, true
	return all
}

func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	storetest.Compare(t, "v1", storedV1())
	storetest.Compare(t, "v2", storedV2())
	storetest.Compare(t, "v3", storedV3())
	storetest.Compare(t, "v4", storedV4())
	storetest.Compare(t, "v5", storedV5())
	storetest.Compare(t, "v6", storedV6())
}
