// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// A verbDescription is what the document says of a verb of version 1.
type verbDescription struct {
	summary, about string
	takes          any            // beside meta
	gives          map[string]any // members of a success beside meta
	// alsoFails are members of a failure, once the verb has seen the call.
	alsoFails map[string]any
}

// The forms of answers of version 1 that have no type of their own; see openapi_types.go.
type (
	docV1Account struct {
		FullName     string      `json:"fullName"`
		Email        string      `json:"email"`
		IsdCode      string      `json:"isdCode"`
		MobileNumber string      `json:"mobileNumber"`
		Designation  string      `json:"designation"`
		RoleID       string      `json:"roleId"`
		Groups       []wireGroup `json:"groups"`
	}
	docV1Fields struct {
		CertificateInformation []any             `json:"certificateInformation"`
		AdditionalInformation  []wireV1FieldInfo `json:"additionalInformation"`
	}
	docV1Ledger struct {
		NoOfPages        int    `json:"noOfPages"`
		TotalNoOfResults int    `json:"totalNoOfResults"`
		PageSize         int    `json:"pageSize"`
		CurrentPage      string `json:"currentPage"`
		StatementArray   []any  `json:"statementArray"`
	}
	// docV1Succeeded is the meta of a success, and docV1Failed that of a failure.
	docV1Succeeded struct {
		Ver          string `json:"ver"`
		TS           string `json:"ts"`
		Txn          string `json:"txn"`
		Status       string `json:"status"`
		ErrorCode    string `json:"errorCode"`
		ErrorMessage string `json:"errorMessage"`
	}
	docV1Failed docV1Succeeded
)

// describeV1 describes the verbs by their names.
func describeV1(Dialect) map[string]verbDescription {
	created := map[string]any{"orderDetails": wireV1Created{}}
	accounts := map[string]any{"accountDetails": docV1Account{}}
	const money = "It costs money as soon as it is taken."
	return map[string]verbDescription{
		"ValidateCredentials": {summary: "Are the credentials good?", takes: wireNothing{}},
		"GenerateOrderSSL": {
			summary: "Place an SSL order, or hold or promote a draft", about: money,
			takes: wireV1Create{}, gives: created,
		},
		"GenerateOrderPrivatePKI": {
			summary: "Place an order with the customer's own CA", about: money,
			takes: wireV1Create{}, gives: created,
		},
		"GenerateOrderSignature": {
			summary: "Place an order for a document signer", about: money,
			takes: wireV1Create{}, gives: created,
		},
		"GenerateOrderSMIME": {
			summary: "Place an order for an S/MIME certificate", about: money +
				" Version 2 has none.",
			takes: wireV1Create{}, gives: created,
		},
		"SubmitDocument": {
			summary: "Hand in a signer's or an organization's documents",
			about: "PDF files of 3 MB at most, in base64 that is URL-encoded on top " +
				"(documented).",
			takes: wireV1SubmitDocument{},
		},
		"TrackOrder": {
			summary: "What has become of an order", takes: wireV1OrderNumber{},
			gives: map[string]any{"orderDetails": wireV1Track{}},
		},
		"GetDcv": {
			summary: "What to publish for a name", takes: wireV1DCV{},
			about: "EMS-956 for seconds to hours after the order (observed).",
			gives: map[string]any{"dcvDetails": wireV1Challenge{}},
		},
		"VerifyDcv": {
			summary: "Have the CA look for what was published", takes: wireV1DCV{},
			about: "Its answer does not tell what was seen: TrackOrder does.",
		},
		"SubmitCSR":           {summary: "Hand in the CSR", takes: wireV1SubmitCSR{}},
		"AgreementAcceptance": {summary: "Accept the agreement", takes: wireV1AcceptAgreement{}},
		"GetCertificate": {
			summary: "Download the newest certificate", takes: wireV1OrderRef{},
			about:     "A failure has the same members, all of them empty (published).",
			gives:     map[string]any{"certificateDetails": wireV1Certificates{}},
			alsoFails: map[string]any{"certificateDetails": wireV1Certificates{}},
		},
		"RevokeOrder":   {summary: "Revoke all certificates of an order", takes: wireV1Revoke{}},
		"RejectOrder":   {summary: "Withdraw an order not issued", takes: wireV1RejectOrder{}},
		"RejectRequest": {summary: "Discard a draft", takes: wireV1RejectRequest{}},
		"GetOrderReport": {
			summary: "What was ordered", takes: wireV1Search{},
			about: "A search without a result is a failure (observed).",
			gives: map[string]any{"orderDetails": wireV1Report{}},
		},
		"GetLedgerStatementDetails": {
			summary: "What was charged", about: "No row was ever seen.",
			takes: wireV1LedgerQuery{},
			gives: map[string]any{"statementDetails": docV1Ledger{}},
		},
		"GetGroupDetails": {
			summary: "Who calls, and the billing groups", takes: wireNothing{}, gives: accounts,
		},
		"GetGroupDetailsV2": {
			summary: "The same for one group", takes: wireV1GroupQuery{}, gives: accounts,
			about: "Its answer was never published: that it is the other one's is inferred.",
		},
		"GetOrganizationDetails": {
			summary: "An organization", takes: wireV1OrganizationQuery{},
			gives: map[string]any{"organizationDetails": docOrganizationV1{}},
		},
		"GetDomainDetails": {
			summary: "The domains of the account", takes: wireNothing{},
			gives: map[string]any{"domainDetails": []wireV1Domain{}},
		},
		"GetProductDetails": {
			summary: "What may be ordered, by category", takes: wireV1ProductQuery{},
			gives: map[string]any{"productDetails": []wireCategory{}},
		},
		"GetFieldDetails": {
			summary: "The custom fields of a product", takes: wireV1FieldQuery{},
			about: "Its answer was never published: it is version 2's in other words (inferred).",
			gives: map[string]any{"fieldDetails": docV1Fields{}},
		},
	}
}

// verb is an operation of version 1.
func (w *describer) verb(rt *route, all map[string]verbDescription) *openapi.Operation {
	name := strings.TrimPrefix(rt.pattern, "/")
	about, ok := all[name]
	if !ok {
		panic("certinexttest: no description of " + rt.path())
	}
	o := &openapi.Operation{
		Tags: []string{tagV1}, ID: strings.ToLower(name[:1]) + name[1:],
		Summary: about.summary, Description: strings.TrimSpace(about.about +
			" Version 2 has it below " + apiPrefix + rt.successor + "."),
		RequestBody: &openapi.Body{
			Required: true,
			Content:  map[string]openapi.Media{typeJSON: {Schema: w.verbBody(name, about.takes)}},
		},
		Responses: map[string]*openapi.Response{"200": w.envelope(name, about)},
		Security:  []map[string][]string{{}, {"bearer": {}}},
	}
	for status, component := range v1RefusalNames {
		o.Responses[status] = &openapi.Response{Ref: component}
	}
	return o
}

// verbBody is what a verb takes, with the signed head of every call.
func (w *describer) verbBody(name string, takes any) *openapi.Schema {
	s := w.types.RequestObject(takes)
	s.Properties["meta"] = w.types.Request(wireV1Meta{})
	s.Required = append(s.Required, "meta")
	slices.Sort(s.Required)
	return w.types.Name("V1"+name+"Input", s)
}

// envelope is HTTP 200, whatever became of the call.
func (w *describer) envelope(name string, about verbDescription) *openapi.Response {
	w.types.Answer(wireV1DomainChecked{}) // which a note refers to
	success := w.types.Name("V1"+name+"Succeeded",
		w.members(w.types.Answer(docV1Succeeded{}), about.gives))
	failed := w.types.Answer(docV1Failed{})
	answers := []*openapi.Schema{success, w.types.Name("V1Failure", w.members(failed, nil))}
	if about.alsoFails != nil {
		answers = append(answers,
			w.types.Name("V1"+name+"Failed", w.members(failed, about.alsoFails)))
	}
	return &openapi.Response{
		Description: "A success has meta.status 1, a failure 0 and a code, words, or both.",
		Headers:     headers("Deprecation", "Link", "Cache-Control"),
		Content: map[string]openapi.Media{
			typeJSON: {Schema: openapi.Either(answers...)},
		},
	}
}

// members is an object of meta and others, all of which are there.
func (w *describer) members(meta *openapi.Schema, others map[string]any) *openapi.Schema {
	s := &openapi.Schema{
		Type: "object", Properties: map[string]*openapi.Schema{"meta": meta},
		Required: []string{"meta"},
	}
	for name, v := range others {
		s.Properties[name] = w.types.Answer(v)
		s.Required = append(s.Required, name)
	}
	slices.Sort(s.Required)
	return s
}
