// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Party is who has to act before an order can go on.
type Party string

// The parties to an order.
const (
	PartyNobody       Party = ""               // the order is over
	PartyCA           Party = "certinext"      // CERTInext is at work
	PartyDomainOwner  Party = "domain-owner"   // has to publish proofs of control, or a CAA record
	PartySolver       Party = "dcv-solver"     // publishes the proofs, and waits for them to show
	PartyOrganization Party = "organization"   // has to be verified, or to consent
	PartyApprover     Party = "approver"       // of the CERTInext account, or CERTInext's own
	PartySecond       Party = "vault-approver" // another person than the requester, at approvals/
	PartyRequester    Party = "requester"      // has to collect, promote, or upload documents
	PartyOperator     Party = "operator"       // of Vault: has to settle the order, or fix a solver
)

// foreignNeeds are the needs of an order of another account than the one in config. Stored entries
// are compared with this text.
var foreignNeeds = []string{
	"the order belongs to another CERTInext account than the one in config: " +
		"it goes on when that is there again",
}

// unconfiguredNeeds are the needs of an order while there is no config. Stored entries are compared
// with this text.
var unconfiguredNeeds = []string{
	"config holds no CERTInext account: the order goes on when it holds the order's again",
}

// waitsFor returns who has to act next.
func (o *orderEntry) waitsFor() Party {
	switch {
	case o.State.Final(), o.State == StateIssued && o.Delivered:
		return PartyNobody
	case o.State == StateApproval:
		return PartySecond
	case o.Held, slices.Equal(o.Needs, foreignNeeds), slices.Equal(o.Needs, unconfiguredNeeds):
		return PartyOperator
	case o.State == StateIssued, o.State == StateDraft:
		return PartyRequester
	case o.State == StateUnresolved, o.CSRRefused:
		return PartyOperator
	case o.State != StatePending || len(o.Needs) == 0:
		return PartyCA
	case len(o.CAAForbids) > 0 && o.CAStatus != certinext.StatusIssued:
		return PartyDomainOwner
	}
	switch o.CAStatus {
	case certinext.StatusPendingDCV:
		switch {
		case o.Solver == "":
			return PartyDomainOwner
		case o.Stuck:
			return PartyOperator
		}
		return PartySolver
	case certinext.StatusPendingOrganization:
		return PartyOrganization
	case certinext.StatusPendingApproval, certinext.StatusPendingVetting:
		return PartyApprover
	case certinext.StatusPendingDocuments:
		return PartyRequester
	}
	return PartyCA
}

// openDomains returns the domains of an order whose control is not validated yet: all of its names
// when CERTInext lists none.
func (o *orderEntry) openDomains(remote *certinext.Order) []string {
	if len(remote.Domains) == 0 {
		return o.Placement.DNSNames
	}
	var open []string
	for _, d := range remote.Domains {
		if !d.Verified() {
			open = append(open, d.Domain)
		}
	}
	return open
}

// unproved returns a domain for which it is not known yet what to publish, and about which
// CERTInext was not asked in this drive; empty when there is none. It looks at the first open
// domains only.
func (o *orderEntry) unproved(remote *certinext.Order, asked map[string]bool) string {
	open := o.openDomains(remote)
	for _, domain := range open[:min(validation.MaxProofs, len(open))] {
		if !asked[domain] && o.proofOf(domain) < 0 {
			return domain
		}
	}
	return ""
}

// proofOf returns the index of a domain's proof; negative when there is none.
func (o *orderEntry) proofOf(domain string) int {
	return slices.IndexFunc(o.Proofs, func(p validation.Proof) bool { return p.Domain == domain })
}

// dcvNeeds says what to publish for the domains whose control is not validated, and what to do
// then.
func (o *orderEntry) dcvNeeds(remote *certinext.Order) []string {
	open := o.openDomains(remote)
	if len(open) == 0 {
		return nil // the order's status lags behind its domains
	}
	var needs, silent []string // silent are the domains for which it is not known what to publish
	for _, domain := range open {
		i := o.proofOf(domain)
		if i < 0 || o.Proofs[i].Text() == "" {
			silent = append(silent, validation.DisplayDomain(domain))
			continue
		}
		needs = append(needs, fmt.Sprintf("control of %s has to be validated: %s",
			validation.DisplayDomain(domain), o.Proofs[i].Text()))
	}
	if len(silent) > 0 {
		needs = append(needs, fmt.Sprintf(
			"control of %s has to be validated: vault read <mount>/orders/%s/%s/dcv "+
				"shows what to publish",
			strings.Join(silent, ", "), o.Role, o.ID))
	}
	return append(needs, fmt.Sprintf(
		"then have CERTInext look for it: vault write -force <mount>/orders/%s/%s/dcv",
		o.Role, o.ID))
}

// organizationNeed says what an order waits for whose organization is not verified.
func organizationNeed(remote *certinext.Order) string {
	if remote.Organization == nil {
		return "CERTInext verifies the organization, or waits for its consent"
	}
	need := "CERTInext verifies the organization"
	if remote.Organization.Name != "" {
		need += " " + sanitize.Short(remote.Organization.Name)
	}
	switch to := sanitize.Short(remote.Organization.ConsentSentTo); {
	case remote.Organization.ConsentStatus == "2":
		need += ", which has declined to consent: ask it for its consent, or cancel the order"
	case remote.Organization.ConsentStatus == "0" && to != "":
		need += ", whose consent was asked of " + to
	}
	return need
}

// approvalNeed says who has to approve the order, and whether its organization has still to
// consent.
func (o *orderEntry) approvalNeed(remote *certinext.Order) string {
	need := "an approver of the CERTInext account, or CERTInext itself, has to approve the order"
	if org := remote.Organization; org != nil && org.ConsentStatus == "0" {
		need += "; the organization " + sanitize.Short(org.Name) + " has not consented yet"
		if org.ConsentSentTo != "" {
			need += ", which was asked of " + sanitize.Short(org.ConsentSentTo)
		}
		need += ": set consent_token in role or config so that later orders need no such consent"
	}
	return need
}
