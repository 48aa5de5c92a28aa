// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

const unknownGroup = "The group is none of the account's."

var (
	groupQuery = openapi.Note{About: "One of the account's groups."}
	pageQuery  = openapi.Note{
		About: "The page, from 1; 0 is the first, too, and one beyond the end the last " +
			"(observed).",
		Schema: openapi.Number(),
	}
	sizeQuery = openapi.Note{About: "Rows on a page, 50 by default, 100 at " +
		"most.", Schema: openapi.Number()}
	dayQuery = openapi.Note{
		About: "A day, inclusive.", Schema: &openapi.Schema{Type: "string", Format: "date"},
	}
)

func describeAccount(d Dialect) map[string]description {
	return map[string]description{
		OpMe: {
			summary: "Who calls",
			gives: map[int]given{200: gives("The account.",
				byDialect(d, docMeLive{}, docMeDocumented{}))},
		},
		OpGroups: {
			summary: "The billing groups of the account",
			gives:   map[int]given{200: gives("All of them.", docGroups{})},
		},
		OpOrganizations: {
			summary: "The organizations of the account", refuses: map[int]string{422: unknownGroup},
			query: openapi.Notes{"groupNumber": groupQuery},
			gives: map[int]given{200: gives("All of them.", docOrganizations{})},
		},
		OpOrganization: {
			summary: "An organization", names: map[string]string{"id": "Its number."},
			gives:   map[int]given{200: gives("All that is known of it.", docOrganizationV2{})},
			refuses: map[int]string{404: "There is no such organization."},
		},
		OpProducts: {
			summary: "What may be ordered, by category",
			refuses: map[int]string{422: unknownGroup},
			query:   openapi.Notes{"groupNumber": groupQuery},
			gives:   map[int]given{200: gives("The catalog.", docProducts{})},
		},
		OpCustomFields: {
			summary: "The custom fields of a product",
			names:   map[string]string{"id": "The product's code."},
			query: openapi.Notes{
				"organizationNumber": {About: "It is not looked at."},
				"groupNumber":        {About: "It is not looked at."},
			},
			gives:   map[int]given{200: gives("They, or an empty list.", docCustomFields{})},
			refuses: map[int]string{404: "There is no such product."},
		},
	}
}

func describeReports(d Dialect) map[string]description {
	orders := description{
		summary: "What was ordered",
		about: "Rows are clamped and the last page repeats (observed). The product code stays " +
			"empty, and statuses are prose.",
		query: openapi.Notes{
			"page": pageQuery, "size": sizeQuery, "groupNumber": groupQuery,
			"from": dayQuery, "to": dayQuery,
			"status": {
				About: "A status that the report takes; others were answered 422.",
				Enum:  reportFilters,
			},
			"productType": {About: "It is refused: 400 (observed)."},
		},
		gives:   map[int]given{200: gives("A page.", docReport{})},
		refuses: map[int]string{422: "The status or the group is not taken."},
	}
	if d == Documented {
		orders.gives = nil
		orders.refuses = map[int]string{
			501: "Always: GetOrderReport of version 1 has it (documented).",
		}
	}
	return map[string]description{
		OpOrdersReport: orders,
		OpLedger: {
			summary: "What was charged",
			about:   "No row was ever seen.",
			query: openapi.Notes{
				"page": pageQuery, "size": sizeQuery, "groupNumber": groupQuery,
			},
			gives:   map[int]given{200: gives("A page.", docLedger{})},
			refuses: map[int]string{422: unknownGroup},
		},
	}
}

var (
	domainName    = map[string]string{"id": "The domain's id."}
	unknownDomain = map[int]string{404: "There is no such domain."}
)

func describeDomains(d Dialect) map[string]description {
	done := map[int]given{204: gives("It is done.")}
	shown := given{about: "The challenge, or of a domain that is verified the method " +
		"alone.", v: []any{docDomainChallenge{}}}
	const unknown = "There is no such domain."
	return map[string]description{
		OpDomains: {
			summary: "The domains of the account",
			about: "Without sortBy the order differs from call to call (observed). The " +
				"documented " +
				"dialect answers the bare list.",
			query: domainQuery(),
			gives: map[int]given{200: gives("A page, or all.",
				byDialect(d, docDomains{}, []wireDomainRow{}))},
			refuses: map[int]string{422: unknownGroup},
		},
		OpAddDomain: {
			summary: "Register a domain, or with the mode renew get another challenge",
			takes:   wireAddDomain{},
			gives:   map[int]given{201: gives("The domain and its challenge.", docDomainAdded{})},
			refuses: map[int]string{
				409: "DOMAIN-002: it is there, as existingDomainId (observed).",
				422: "DOMAIN-001 no name, EMS-1073 no such organization, EMS-1158 no such method.",
			},
		},
		OpDomain: {
			summary: "A domain", names: domainName, refuses: unknownDomain,
			gives: map[int]given{200: gives("All that is known of it.", docDomain{})},
		},
		OpDomainDCV: {
			summary: "What to publish for a domain", names: domainName, refuses: unknownDomain,
			gives: map[int]given{200: shown},
		},
		OpDomainDCVMethod: {
			summary: "Choose the method, and get another challenge",
			takes:   wireDomainMethod{}, names: domainName, gives: map[int]given{200: shown},
			refuses: map[int]string{
				404: unknown, 422: "EMS-1080 it is verified, EMS-1158 there is no such method.",
			},
		},
		OpVerifyDomain: {
			summary: "Have the CA look for what was published", takes: wireNothing{},
			names: domainName, gives: map[int]given{200: gives("It was seen.", docVerified{})},
			refuses: map[int]string{
				404: unknown, 422: "EMS-1160 or EMS-1161 it was not; EMS-1080 it is verified.",
			},
		},
		OpDomainAttempts: {
			summary: "The verifications so far, newest first", names: domainName,
			gives:   map[int]given{200: gives("A page with all of them.", docAttempts{})},
			refuses: unknownDomain,
		},
		"GET /domains/{id}/dcv/attempts/{attempt}": {
			id: "domainAttempt", summary: "A verification, or the last one",
			names:   map[string]string{"id": domainName["id"], "attempt": "Its id, or `last`."},
			gives:   map[int]given{200: gives("It.", docAttempt{}, docLastAttempt{})},
			refuses: map[int]string{404: "There is no such domain or verification."},
		},
		OpDeactivateDomain: {
			summary: "Have a domain count no longer", takes: wireNothing{}, names: domainName,
			gives: done, refuses: map[int]string{404: unknown, 409: conflictingKey},
		},
	}
}

// domainQuery describes the filters of the domain list.
func domainQuery() openapi.Notes {
	flag := []string{"true", "false"}
	return openapi.Notes{
		"search":       {About: "Part of the name."},
		"exactMatch":   {About: "The whole name is meant.", Enum: flag},
		"domainStatus": {About: "Not together with dcvStatus: 400 (observed)."},
		"dcvStatus":    {About: "EXPIRED is 400 (observed)."},
		"dcvMethod":    {},
		"fromDate":     dayQuery, "toDate": dayQuery,
		"offset":         {About: "Rows to skip.", Schema: openapi.Number()},
		"limit":          {About: "Rows to show, 50 by default.", Schema: openapi.Number()},
		"organizationId": {About: "An organization's number."},
		"groupNumber":    groupQuery,
		"includePending": {About: "false leaves out what was never verified.", Enum: flag},
		"sortBy":         {Enum: []string{"domainName", "createdAt"}},
		"sortDir":        {Enum: []string{"asc", "desc"}},
		"page":           {About: "It is not looked at."},
		"size":           {About: "It is not looked at."},
	}
}
