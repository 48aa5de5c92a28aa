// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/keys"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
)

// A SettingError is a value that a field of [Server] does not take, with the field's name in JSON.
type SettingError = settings.Error

// Where it is known from that the service behaves in one way or another.
const (
	sourceLive     = "seen on the live service"
	sourceVendor   = "the vendor's published collection"
	sourceReported = "reported by customers"
	sourceUnknown  = "not known of the service"
	sourceGateway  = "the documentation of Keyfactor's gateway for CERTInext"
	sourceRules    = "CA/Browser Forum Baseline Requirements"
)

// settings are the fields of a Server by name: everything that is no function, no clock and no
// generator.
func (s *Server) settings() settings.List {
	var list settings.List
	list = append(list, s.accountSettings()...)
	list = append(list, s.domainSettings()...)
	list = append(list, s.orderSettings()...)
	list = append(list, s.refusalSettings()...)
	list = append(list, s.certificateSettings()...)
	list = append(list, s.billingSettings()...)
	list = append(list, s.subscriptionSettings()...)
	list = append(list, s.trafficSettings()...)
	list = append(list, s.unknownSettings()...)
	return append(list, s.version1Settings()...)
}

func (s *Server) accountSettings() settings.List {
	return settings.List{
		{
			Name: "dialect", Field: &s.Dialect, Fixed: true, Names: dialects,
			Help: "`live` (as observed), documented (as published) or v1 (an account without " +
				"OAuth, for version 1 of the API only)",
		},
		{
			Name: "accountNumber", Field: &s.AccountNumber, Zero: DefaultAccountNumber, Fixed: true,
			Help:  "account `number`",
			Wrong: func() string { return wrongText(s.AccountNumber, isVisible, notVisible) },
		},
		{
			Name: "accessKey", Field: &s.AccessKey, Zero: DefaultAccessKey, Fixed: true,
			Help: "access `key` that signs calls of version 1 and documented token requests",
		},
		{
			Name: "clientId", Field: &s.ClientID, Fixed: true,
			Help:  "OAuth client `id` of live token requests (default: the account number)",
			Wrong: func() string { return wrongText(s.ClientID, isVisible, notVisible) },
		},
		{
			Name: "clientSecret", Field: &s.ClientSecret, Zero: DefaultClientSecret, Fixed: true,
			Help: "OAuth client `secret` of live token requests",
		},
		{
			Name: "keyState", Field: &s.KeyState, Names: keyStates, Source: sourceVendor,
			Help: "`active`, not-oauth (made for another mode) or inactive: what an " +
				"administrator did to the API key",
		},
		{
			Name: "tokenTTL", Field: &s.TokenTTL, Zero: time.Hour, Source: sourceLive,
			Wrong: func() string { return wrongLife(s.TokenTTL) },
			Help:  "lifetime of access tokens",
		},
		{
			Name: "singleToken", Field: &s.SingleToken, Source: sourceUnknown,
			Help: "let a new token revoke earlier ones",
		},
		{
			Name: "organizations", Field: &s.Organizations, Fixed: true,
			Wrong: s.wrongOrganizations,
			Help:  "the account's organizations (default: one vetted, one not)",
		},
		{
			Name: "groups", Field: &s.Groups, Fixed: true, Wrong: s.wrongGroups,
			Help: "the account's billing groups (default: one)",
		},
		{
			Name: "catalog", Field: &s.Catalog, Wrong: s.wrongCatalog,
			Help: "the account's products (default: those of the vendor's sandbox)",
		},
		{
			Name: "caProfiles", Field: &s.CAProfiles, Source: sourceVendor,
			Help: "comma-separated `profiles` of private PKI that the account is entitled to " +
				"(default: 1)",
		},
		{
			Name: "catalogNeedsGroup", Field: &s.CatalogNeedsGroup, Source: sourceReported,
			Help: "version 1: show no products to callers that name no group",
		},
	}
}

func (s *Server) domainSettings() settings.List {
	return settings.List{
		{
			Name: "verifiedDomains", Field: &s.VerifiedDomains, Fixed: true,
			Wrong: func() string { return wrongDomains(s.VerifiedDomains) },
			Help: "comma-separated `domains` that are already validated, names below them " +
				"included",
		},
		{
			Name: "pendingDomains", Field: &s.PendingDomains, Fixed: true,
			Wrong: func() string { return wrongDomains(s.PendingDomains) },
			Help:  "comma-separated `domains` that are registered but not validated",
		},
		{
			Name: "domainValidity", Field: &s.DomainValidity, Zero: 199 * 24 * time.Hour,
			Source: sourceLive,
			Help:   "how long a validation of a domain serves the account",
		},
		{
			Name: "noInheritance", Field: &s.NoInheritance, Source: sourceUnknown,
			Help: "validated domains do not cover names below them",
		},
		{
			Name: "noReuse", Field: &s.NoReuse, Source: sourceUnknown,
			Help: "a validation is valid only for the order it was made for",
		},
		{
			Name: "resolver", Field: &s.Resolver, Wrong: func() string {
				if s.Resolver == "" || isHostPort(s.Resolver) {
					return ""
				}
				return "must be host:port, such as 127.0.0.1:53"
			},
			Help: "`host:port` of the DNS server for domain validation (default: the system's) " +
				"and for CAA records (default: none is asked)",
		},
		{
			Name: "httpPort", Field: &s.HTTPPort, Zero: 80, Wrong: func() string {
				if s.HTTPPort >= 0 && s.HTTPPort <= 65535 {
					return ""
				}
				return "must be a port, from 1 to 65535"
			},
			Help: "`port` at which http-url challenges are fetched",
		},
		{
			Name: "challengeHosts", Field: &s.ChallengeHosts, Source: sourceUnknown,
			Wrong: func() string { return wrongHosts(s.ChallengeHosts) },
			Help: "comma-separated `names` of accepted TXT records, with {domain} " +
				"(default: _emudhra-challenge.{domain}, version 1: _emsign-validation.{domain})",
		},
		{
			Name: "dcvShape", Field: &s.DCVShape, Names: dcvShapes, Source: sourceVendor,
			Help: "`by-dialect`, live, doc1, doc2 or doc2-prose: how a challenge is spelled",
		},
		{
			Name: "propagationDelay", Field: &s.PropagationDelay,
			Help: "how long a published challenge remains invisible",
		},
		{
			Name: "challengeTTL", Field: &s.ChallengeTTL, Zero: 48 * time.Hour,
			Source: sourceVendor,
			Help:   "how long a challenge is good for",
		},
		{
			Name: "caaForbids", Field: &s.CAAForbids, Source: sourceRules,
			Wrong: func() string { return wrongDomains(plainDomains(s.CAAForbids)) },
			Help: "comma-separated `domains` whose CAA records do not let the CA issue, names " +
				"below them included",
		},
		{
			Name: "caaLookups", Field: &s.CAA.Lookups, Names: caaLookups, Source: sourceRules,
			Help: "`with-resolver` looks CAA records up at the resolver, if there is one; always " +
				"asks the system's DNS servers where there is none; never asks nobody",
		},
		{
			Name: "caaIssuers", Field: &s.CAA.Issuers, Source: sourceUnknown,
			Wrong: func() string { return wrongIssuers(s.CAA.Issuers) },
			Help: "comma-separated `names` by which CAA records allow this CA " +
				"(default: emsign.com)",
		},
	}
}

func (s *Server) orderSettings() settings.List {
	return settings.List{
		{
			Name: "issueDelay", Field: &s.IssueDelay,
			Help: "time from the last fulfilled requirement to issuance",
		},
		{
			Name: "pemLag", Field: &s.PEMLag, Source: sourceLive,
			Help: "time from issuance until the certificate can be downloaded",
		},
		{
			Name: "holdForApproval", Field: &s.HoldForApproval,
			Help: "hold every order at pending-approval",
		},
		{
			Name: "approvalDelay", Field: &s.ApprovalDelay, Wrong: func() string { return "" },
			Help: "how long the approver takes; 0 waits for the administration path, " +
				"negative approves at once",
		},
		{
			Name: "ignoreConsentTokens", Field: &s.IgnoreConsentTokens, Source: sourceReported,
			Help: "an organization's consent token is good for nothing",
		},
		{
			Name: "issuedBeforeCsr", Field: &s.IssuedBeforeCSR, Source: sourceLive,
			Help: "show orders that only lack a CSR as issued",
		},
		{
			Name: "namelessCsr", Field: &s.NamelessCSR, Source: sourceReported,
			Help: "take CSRs without a common name",
		},
		{
			Name: "newKeysOnly", Field: &s.NewKeysOnly, Source: sourceUnknown,
			Help: "version 2 refuses a key that an earlier order had, as version 1 always does",
		},
		{
			Name: "largestRSA", Field: &s.Keys.LargestRSA, Zero: keys.LargestRSA,
			Source: sourceLive, Wrong: func() string {
				bits := orDefault(s.Keys.LargestRSA, keys.LargestRSA)
				if bits >= 2048 && bits <= 16384 {
					return ""
				}
				return "must be from 2048 to 16384"
			},
			Help: "`bits` of the longest RSA key that is certified",
		},
		{
			Name: "blockedKeys", Field: &s.Keys.Blocked, Source: sourceRules,
			Wrong: s.Keys.wrong,
			Help: "comma-separated `hashes` of keys that are known to be compromised, as the " +
				"hexadecimal SHA-256 of the SubjectPublicKeyInfo",
		},
		{
			Name: "compromiseDelay", Field: &s.Keys.CompromiseDelay, Zero: mostCompromised,
			Source: sourceRules, Wrong: s.Keys.tooLate,
			Help: "time from when the CA learns that a key is compromised until it revokes all " +
				"certificates of the key, of other orders too",
		},
		{
			Name: "orderSuffix", Field: &s.OrderSuffix, Source: sourceLive,
			Wrong: func() string { return wrongSuffix(s.OrderSuffix) },
			Help:  "`suffix` of live order ids, such as R007",
		},
		{
			Name: "reportDelay", Field: &s.ReportDelay, Source: sourceUnknown,
			Help: "time from an order to its row in the orders report",
		},
		{
			Name: "reportOrder", Field: &s.ReportOrder, Names: reportOrders, Source: sourceUnknown,
			Help: "`newest-first` or oldest-first: the order of the rows in the orders report",
		},
		{
			Name: "reportPageSize", Field: &s.ReportPageSize,
			Help: "the most `rows` on a page of the orders report; 0 is as documented",
		},
		{
			Name: "reportWithoutProducts", Field: &s.ReportWithoutProducts, Source: sourceReported,
			Help: "leave the product codes in version 2's orders report empty",
		},
	}
}

func (s *Server) certificateSettings() settings.List {
	return settings.List{
		{
			Name: "certificateLifetime", Field: &s.CertificateLifetime, Source: sourceRules,
			Wrong: s.wrongLifetime,
			Help: "validity of public TLS certificates; 0 is a day less than is allowed, which " +
				"is 200 days, 100 from 2027-03-15 on, 47 from 2029-03-15 on",
		},
		{
			Name: "otherLifetime", Field: &s.OtherLifetime, Zero: otherLifetime,
			Source: sourceLive, Wrong: func() string {
				if s.OtherLifetime >= 0 && s.OtherLifetime <= longestOther {
					return ""
				}
				return "must be more than 0 and at most 43800h, five years"
			},
			Help: "validity of the certificates of private PKI, signers and S/MIME (at most " +
				"825 days)",
		},
		{
			Name: "chainOrder", Field: &s.ChainOrder, Names: chainOrders, Source: sourceLive,
			Help: "`good`, root-first or absent: how the chain of a download is put together",
		},
		{
			Name: "crossSigned", Field: &s.CrossSigned, Source: sourceReported,
			Help: "downloads of public certificates lead to an older root, which has certified " +
				"theirs",
		},
		{
			Name: "misissue", Field: &s.Misissue, Names: MisissuanceKinds(),
			Help: "`mistake` in every certificate that is issued, and stays in it; all are " +
				"listed below",
		},
		{
			Name: "revocationLag", Field: &s.RevocationLag,
			Help: "time from a revocation to its appearance in CRL and OCSP",
		},
		{
			Name: "baseURL", Field: &s.BaseURL, Fixed: true, Wrong: func() string {
				if s.BaseURL == "" || isBase(s.BaseURL) {
					return ""
				}
				return "must be http:// or https:// and a host, such as http://localhost:8093"
			},
			Help: "public `URL` of this server, written into certificates (default: as the " +
				"client calls it)",
		},
	}
}

func (s *Server) trafficSettings() settings.List {
	return settings.List{
		{
			Name: "rateLimit", Field: &s.RateLimit, Source: sourceUnknown, Wrong: func() string {
				switch {
				case s.RateLimit == 0 || (s.RateLimit >= 0.001 && s.RateLimit <= 1e6):
					return ""
				case !(s.RateLimit >= 0): // so is what is no number
					return "must not be negative"
				}
				return "must be 0, or from 0.001 to 1000000"
			},
			Help: "API `calls` accepted per second; 0 accepts all",
		},
		{
			Name: "idempotency", Field: &s.Idempotency, Names: switches, Source: sourceVendor,
			Help: "`by-dialect`, on or off: whether Idempotency-Key is honoured",
		},
		{
			Name: "adminHosts", Field: &s.AdminHosts, Fixed: true,
			Wrong: func() string { return wrongAdminHosts(s.AdminHosts) },
			Help: "comma-separated `names` and addresses under which the administration paths " +
				"may be asked for, beside localhost and addresses of this server",
		},
	}
}

// version1Settings are behaviour that only version 1 of the API has.
func (s *Server) version1Settings() settings.List {
	return settings.List{
		{
			Name: "dcvSlotDelay", Field: &s.DCVSlotDelay, Source: sourceLive,
			Help: "version 1: time from an order to its domainVerification",
		},
		{
			Name: "dcvChallengeDelay", Field: &s.DCVChallengeDelay, Source: sourceLive,
			Help: "version 1: time from that to its challenge; EMS-956 until then",
		},
		{
			Name: "dcvResultDelay", Field: &s.DCVResultDelay, Source: sourceLive,
			Help: "version 1: time from VerifyDcv to its result in TrackOrder",
		},
		{
			Name: "createBurst", Field: &s.CreateBurst, Source: sourceReported,
			Help: "version 1: `orders` accepted in ten seconds; 0 accepts all",
		},
	}
}

// DefineFlags gives flags a flag for each field of s that can be written as one text: -issue-delay
// for IssueDelay. The flags set the fields, so that s must not serve yet.
func (s *Server) DefineFlags(flags *flag.FlagSet) { s.settings().Define(flags) }

// LoadSettings sets the fields that a JSON object names: issueDelay for IssueDelay, with durations
// like "1m30s". Either all of it is taken or nothing; the error joins a [SettingError] for each
// value that is refused. [SettingsSchema] describes the object. The server must not serve yet.
func (s *Server) LoadSettings(object []byte) error { return s.settings().Load(object) }

// Check returns a [SettingError] for each field whose value is senseless, all of them joined.
func (s *Server) Check() error { return s.settings().Check() }

// SettingsSchema is the JSON Schema of what [Server.LoadSettings] reads.
func SettingsSchema() map[string]any { return new(Server).settings().Schema() }

// readKnobs are the settings that can be changed while the server runs.
func (s administration) readKnobs() (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, err := json.Marshal(s.settings().Running())
	return json.RawMessage(text), err
}

// knobs changes some of them.
func (s administration) knobs(r *http.Request) (any, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.Configure(func(s *Server) {
		all := s.settings()
		before := all.Saved()
		if err = all.Running().Load(body); err != nil {
			return
		}
		if err = all.Check(); err != nil { // such as a catalog without the product of a group
			all.Restore(before)
		}
	})
	if err != nil {
		return nil, err
	}
	return s.readKnobs()
}

func isBase(text string) bool {
	u, err := url.Parse(text)
	if err != nil || !isVisible.MatchString(text) {
		return false
	}
	if port := u.Port(); port != "" && !isHostPort("host:"+port) {
		return false
	}
	return (u.Scheme == "http" || u.Scheme == "https") && isHost(u.Hostname()) &&
		u.RawQuery == "" && u.Fragment == "" && u.User == nil
}

func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, notNumber := strconv.Atoi(port)
	_, noAddress := netip.ParseAddr(host) // one with a zone is an address, too
	return err == nil && (noAddress == nil || isHost(host)) &&
		notNumber == nil && number > 0 && number < 65536
}
