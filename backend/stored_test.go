// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"bytes"
	"encoding/json"
	"flag"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the fixtures of the present version of the stored entries")

// storedV1 is one full entry of each kind, as version 1 stores it. A later version keeps the fixtures and adds its own.
func storedV1() map[string]any {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	defaults := account.OrderDefaults{
		Requestor:        certinext.Contact{Name: "Platform Team", Email: "platform@example.com", Phone: "+14155550123", Designation: "Operations"},
		TechnicalContact: certinext.Contact{Name: "Platform Team", Email: "platform@example.com"}, Delegation: certinext.Contact{Name: "Platform Team", Email: "p@example.com"},
		SignerName: "Platform Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", GroupNumber: "3000000001",
		OrganizationNumber: "4000001", ConsentToken: "consent-token", EmailNotifications: "0", AccountingModel: certinext.AccountingCash,
	}
	return map[string]any{
		"config": account.NewStoredConfig(&account.Config{
			BaseURL: "https://us-api.certinext.io", APIVersion: "v1", ClientID: "1234567890", ClientSecret: "client-secret",
			OrderDefaults: defaults, RequestTimeout: time.Minute, CreateTimeout: 3 * time.Minute, RequestsPerSecond: 5, TrustIdempotencyKey: true, AbsentAfter: time.Hour, DefaultProductCode: "842",
		}),
		"role": roles.NewStored(&issuing.Role{
			Name: "web", ProductCode: "844", Variant: "dv-ucc", OrderDefaults: defaults, ConsentFor: "https://us-api.certinext.io", ValidityYears: 2, AutoRenew: true,
			RenewBeforeDays: 30, AutoSecureWWW: true, CustomFields: map[string]string{"17": "x"}, Tags: []string{"team:web"}, Remarks: "r",
			RecipientEmails: []string{"ops@example.com"}, CAProfileID: "1", MasterProductID: "2",
			Subject: map[string]string{"email": "{{identity.entity.metadata.email}}"}, AllowedSubjectFields: []string{"designation"}, Attested: true,
			DCVMethod: certinext.DCVMethodHTTP,
			DNS: issuing.DNSValidation{
				Solver: "corp", Hosts: []string{"_c.{domain}"}, Resolvers: []string{"192.0.2.1"}, PropagationServers: []string{"192.0.2.2:5353"}, PropagationTimeout: time.Minute,
			},
			AllowedDomains: []string{"example.com"}, AllowedDomainsTemplate: true, AllowBareDomains: true,
			AllowSubdomains: true, AllowGlobDomains: true, AllowWildcardCertificates: true, AllowAnyName: true,
			AllowIPSANs: true, RequireCN: true, AllowReissue: true, RekeyOrders: true, RenewalWindow: 720 * time.Hour, Key: issuing.KeySpec{Type: "rsa", Bits: 3072}, IssueTimeout: 45 * time.Second,
			DeliveryGrace: 5 * time.Minute, PickupWindow: time.Hour, RevokeUnclaimed: true, GenerateLease: true, TTL: time.Hour, MaxTTL: 2 * time.Hour,
		}),
		"order": &orderEntry{
			Version: 1, ID: "6f1d", Role: "web", Account: "https://us-api.certinext.io|1234567890", Requester: "entity:e", RequestID: "deploy-17", Fingerprint: "f", State: StatePending, Draft: true,
			Placement: placement{
				Family: certinext.FamilySSL, ProductCode: "844", Variant: "dv-ucc", DNSNames: []string{"www.example.com"},
				IPs: []net.IP{net.IPv4(192, 0, 2, 1)}, Subject: issuing.Subject{"email": "platform@example.com"}, Attested: true, KeyType: "ec", GroupNumber: "3000000001", OrganizationNumber: "4000001",
				ValidityYears: 1, AutoRenew: true, AutoSecureWWW: true, RenewBeforeDays: 30, CustomFields: map[string]string{"17": "x"},
				Keyless: true, Tags: []string{"team:web"}, Remarks: "vault-order:k", RecipientEmails: []string{"ops@example.com"}, CAProfileID: "1", MasterProductID: "2",
				Requestor: account.StoredContact{Name: "Platform Team", Email: "platform@example.com"}, TechnicalContact: account.StoredContact{Name: "Platform Team"}, Delegation: account.StoredContact{Name: "Platform Team", Email: "p@example.com"},
				SignerName: "Platform Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", EmailNotifications: "0", AccountingModel: certinext.AccountingCash, IdempotencyKey: "k",
			},
			CSR: "csr", PrivateKey: "key", CAOrderID: "1000000001", CARequestID: "2000000001",
			CAStatus: certinext.StatusPendingApproval, CAState: "Pending for Approver", CSRRefused: true, PromotionKey: "p", PromotedAt: at, Discarding: true, CreatedAt: at,
			UpdatedAt: at, Serial: "0a-1b", Delivered: true, Needs: []string{"n"}, LastError: "e",
			Proofs: []validation.Proof{{Domain: "d", Method: certinext.DCVMethodDNS, DNSNames: []string{"h"}, DNSValue: "v", HTTPPath: "/p", HTTPContent: "c", EmailTo: []string{"a@example.com"}, AskedAt: at}},
			Solver: "corp", Stuck: true, Timeline: []Event{{At: at, What: "requested"}}, TTL: time.Hour, Grace: 5 * time.Minute, Pickup: time.Hour, RevokeUnclaimed: true,
			Renews:  "0a-19",
			Reissue: &reissue{Of: "6f1c", Serial: "0a-1a", RequestID: "2000000000", UpdateNames: true, Reason: "r", RevokePrevious: true, RevokeReason: certinext.ReasonSuperseded, Taken: true, StaleSince: at},
		},
		"certificate": &certificates.Entry{
			Version: 1, Serial: "0a-1b", Role: "web", Requester: "entity:e", OrderID: "6f1d", CAOrderID: "1000000001", Account: "https://us-api.certinext.io|1234567890",
			Family: certinext.FamilySSL, Certificate: "leaf", Chain: []string{"issuer", "root"}, NotBefore: at, NotAfter: at, IssuedAt: at,
			Delivery: &certificates.Delivery{At: at}, Leases: map[string]time.Time{"l": at},
			Revocation: &certificates.Revocation{At: at, Reason: certinext.ReasonSuperseded}, ReissuedBy: "6f1e", ReissuedAs: "0a-1c", LeaseEnded: true, Replaces: "0a-1a", RenewalOf: "0a-19", Imported: true,
		},
		"revocation": &certificates.Queued{
			Version: 1, Serial: "0a-1b", Reason: certinext.ReasonSuperseded, Note: "n", QueuedAt: at, Due: true, Attempts: 2, Next: at, LastError: "e", Asked: true,
		},
		"sync": &SyncStatus{
			Version: 1, State: SyncDone, Account: "https://us-api.certinext.io|1234567890", IncludeExpired: true, StartedAt: at, FinishedAt: at,
			Seen: 5, Imported: 1, Revoked: 1, Unavailable: 1, Failed: 1, LastError: "e",
		},
		"solver": &validation.StoredSolver{Version: 1, Provider: "rfc2136", Values: map[string]string{"server": "ns1.example.com", "tsig_secret": "c2VjcmV0"}, Ambient: true, Zone: "example.com", TTL: time.Minute},
		"domain": &domains.Stored{
			Version: 1, Name: "example.com", OrganizationNumber: "4000001", Account: "https://us-api.certinext.io|1234567890", Method: certinext.DCVMethodDNS,
			DNS: issuing.StoredDNS{Solver: "corp", Hosts: []string{"_c.{domain}"}, PropagationTimeout: time.Minute}, Keep: true, RenewBefore: time.Hour,
			DomainID: "d-1", ValidatedAt: at, ValidTill: at, Waiting: true,
			Renewal: &validation.Proof{Domain: "example.com", Method: certinext.DCVMethodDNS, DNSNames: []string{"h"}, DNSValue: "v", AskedAt: at}, Attempts: 1, NextAt: at, LastError: "e",
		},
		"published": &validation.PublishedEntry{
			Version: 1, Owner: "order/web/6f1d", Domain: "www.example.com", Solver: "corp", Name: "_emudhra-challenge.www.example.com.", Zone: "example.com.", Value: "v", At: at, Done: true,
			LastError: "e", Tries: 1, RetryAt: at,
		},
		"ca": &certificates.StoredCA{Version: 1, Chain: []string{"issuer", "root"}},
	}
}

// storedV2 is one full entry of each kind that has changed since.
func storedV2() map[string]any {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	window := 10 * time.Minute
	all := storedV1()
	config := all["config"].(*account.StoredConfig)
	config.Ordering = account.OrderingPaused
	role := all["role"].(*roles.Stored)
	role.ReuseWindow = &window
	order := all["order"].(*orderEntry)
	order.Reuse, order.FinalSeen = &window, sighting{Status: certinext.StatusRejected, At: at}
	order.AskedAgainAt, order.ChainMissedAt = at, at
	cert := all["certificate"].(*certificates.Entry)
	cert.Delivery = &certificates.Delivery{At: at, Last: at.Add(time.Minute), Times: 2, Unleased: true}
	queued := all["revocation"].(*certificates.Queued)
	queued.SentAt, queued.Askers, queued.LeaseOver, queued.Waiting = at, 1, true, true
	return map[string]any{
		"config": config, "role": role, "order": order, "certificate": cert, "revocation": queued, "lease": &certificates.LeaseWatch{Version: 1},
	}
}

// TestStoredEntriesOfEveryVersionAreRead compares what this version writes with the fixtures, and reads the fixtures back. An
// entry that lost or renamed a field fails here before it fails in a mount that was upgraded.
func TestStoredEntriesOfEveryVersionAreRead(t *testing.T) {
	for version, entries := range map[string]map[string]any{"v1": storedV1(), "v2": storedV2()} {
		t.Run(version, func(t *testing.T) { readStored(t, version, entries) })
	}
}

func readStored(t *testing.T, version string, entries map[string]any) {
	for kind, entry := range entries {
		t.Run(kind, func(t *testing.T) {
			path := filepath.Join("testdata", "storage", version, kind+".json")
			text, err := json.MarshalIndent(entry, "", "  ")
			require.NoError(t, err)
			text = append(text, '\n')
			if *update {
				require.NoError(t, os.WriteFile(path, text, 0o600))
			}
			fixture, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, string(fixture), string(text))

			back := newOfKind(t, kind)
			strict := json.NewDecoder(bytes.NewReader(fixture))
			strict.DisallowUnknownFields()
			require.NoError(t, strict.Decode(back))
			require.Equal(t, entry, back)
		})
	}
}

func newOfKind(t *testing.T, kind string) any {
	t.Helper()
	switch kind {
	case "config":
		return new(account.StoredConfig)
	case "role":
		return new(roles.Stored)
	case "order":
		return new(orderEntry)
	case "certificate":
		return new(certificates.Entry)
	case "revocation":
		return new(certificates.Queued)
	case "lease":
		return new(certificates.LeaseWatch)
	case "sync":
		return new(SyncStatus)
	case "solver":
		return new(validation.StoredSolver)
	case "domain":
		return new(domains.Stored)
	case "published":
		return new(validation.PublishedEntry)
	case "ca":
		return new(certificates.StoredCA)
	}
	require.FailNow(t, "no such kind", kind)
	return nil
}

// What is written and read back is the same config and role: nothing is lost between the structs and their entries.
func TestConfigAndRoleSurviveStorage(t *testing.T) {
	stored := storedV1()
	for kind, entry := range storedV2() {
		stored[kind] = entry
	}
	config := stored["config"].(*account.StoredConfig)
	require.Equal(t, config, account.NewStoredConfig(config.Config()))
	role := stored["role"].(*roles.Stored)
	require.Equal(t, role, roles.NewStored(role.Role("web")))
	solver := stored["solver"].(*validation.StoredSolver)
	require.Equal(t, solver, validation.NewStoredSolver(solver.Solver("corp")))
}
