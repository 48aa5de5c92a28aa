// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// wireRequestMeta identifies and signs a call. With a bearer token, authKey is sent empty.
type wireRequestMeta struct {
	Version       string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
}

// wireOrderKey names an order. The documentation's own samples spell this block in several ways;
// this is the spelling of its tables.
type wireOrderKey struct {
	Requestor   *string `json:"requestorEmail,omitempty"`
	OrderNumber string  `json:"orderNumber"`
	CSR         string  `json:"csr,omitempty"`
}

type wireRejection struct {
	OrderNumber   string `json:"orderNumber,omitempty"`
	RequestNumber string `json:"requestNumber,omitempty"`
	Remarks       string `json:"rejectRemarks"`
}

type wireV1Agreement struct {
	Accept      string `json:"acceptAgreement"`
	SignerName  string `json:"signerName"`
	SignerPlace string `json:"signerPlace"`
	SignerIP    string `json:"signerIP"` // observed: EMS-1091 for a loopback address
}

func newWireV1Agreement(a *Agreement) *wireV1Agreement {
	if a == nil {
		return nil
	}
	return &wireV1Agreement{
		Accept: digit(a.Accepted), SignerName: a.SignerName, SignerPlace: a.SignerPlace,
		SignerIP: a.SignerIP,
	}
}

// digit writes a boolean.
func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

type wireV1Acceptance struct {
	Requestor   string `json:"requestorEmail"`
	OrderNumber string `json:"orderNumber"`
	wireV1Agreement
}

type wireV1Revocation struct {
	OrderNumber string `json:"orderNumber"`
	Requestor   string `json:"requestorEmail"`
	ReasonID    string `json:"revokeReasonId"`
	Remarks     string `json:"revokeRemarks"`
}

type wireDCV struct {
	Requestor   string `json:"requestorEmail"`
	OrderNumber string `json:"orderNumber"`
	DomainName  string `json:"domainName"`
	Method      string `json:"dcvMethod"`
	Email       string `json:"dcvEmail,omitempty"` // where the mail goes to, with method 3
}

// decodeV1Bundle reads a download. Its strings are empty while there is no certificate; the serial
// number beside them, whose name is misspelt on the wire, is not read.
func decodeV1Bundle(body []byte) (*Bundle, error) {
	var w struct {
		Details object[struct {
			Root      text `json:"rootCertificate"`
			CA        text `json:"caCertificate"`
			SubCA     text `json:"subCACertificate"`
			EndEntity text `json:"endEntityCertificate"`
		}] `json:"certificateDetails"`
	}
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	d := w.Details.value
	bundle := wireBundle{CertificatePEM: d.EndEntity, ChainPEM: list[text]{d.SubCA, d.CA, d.Root}}
	return bundle.bundle()
}

const categorySMIME = "2"

type wireOrganizationKey struct {
	OrganizationNumber string `json:"organizationNumber"`
	GroupNumber        string `json:"groupNumber"`
}

type wireProductKey struct {
	GroupNumber string `json:"groupNumber"`
	CategoryID  string `json:"categoryID,omitempty"`
	ProductCode string `json:"productCode,omitempty"`
}

// member returns the value of one member of an answer, which must be an object.
func member(body []byte, name string) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := unmarshalObject(body, &members); err != nil {
		return nil, err
	}
	if members[name] == nil {
		return nil, errWrongShape
	}
	return members[name], nil
}

func decodeV1Groups(body []byte) ([]Group, error) {
	account, err := member(body, "accountDetails")
	if err != nil {
		return nil, err
	}
	return decodeGroups(account)
}

// decodeV1Organization reads the answer to GetOrganizationDetails. The organization's consent
// token, which the answer holds for administrators, is not read.
func decodeV1Organization(body []byte) (*Organization, error) {
	detail, err := member(body, "organizationDetails")
	if err != nil {
		return nil, err
	}
	return decodeOrganization(detail)
}

// decodeV1CustomFields reads the answer to GetFieldDetails, of which no source shows a sample: the
// lists of version 2, under the name of the request's block or bare.
func decodeV1CustomFields(body []byte) ([]CustomFieldSpec, error) {
	for _, wrapper := range []string{"fieldDetails", "productDetails"} {
		fields, err := member(body, wrapper)
		switch {
		case errors.Is(err, errWrongShape):
			continue
		case err != nil:
			return nil, err
		case bytes.HasPrefix(fields, []byte("[")):
			fields = slices.Concat([]byte(`{"customFields":`), fields, []byte("}"))
		}
		return decodeCustomFields(fields)
	}
	return decodeCustomFields(body)
}

type wireV1Domain struct {
	Name               text   `json:"domainName"`
	OrganizationName   text   `json:"organizationName"`
	OrganizationNumber text   `json:"organizationNumber"`
	DCVMethod          text   `json:"dcvMethod"`
	DCVStatus          text   `json:"dcvStatus"`
	Status             text   `json:"status"`
	CreatedAt          moment `json:"createdDate"`
	ExpiresAt          moment `json:"expiryDate"`
}

// decodeV1Domains reads the answer to GetDomainDetails, sorted by name: a list, or one domain, as
// the documentation shows it.
func decodeV1Domains(body []byte) ([]Domain, error) {
	raw, err := member(body, "domainDetails")
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(raw, []byte("{")) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	if isBlank(raw) {
		return []Domain{}, nil
	}
	rows, err := decodeRows[wireV1Domain](raw)
	if err != nil {
		return nil, err
	}
	domains := make([]Domain, 0, len(rows))
	for _, w := range rows {
		domains = append(domains, Domain{
			Name: hostName(w.Name), OrganizationID: words(w.OrganizationNumber),
			OrganizationName: words(w.OrganizationName),
			Status:           named(w.Status, domainStatuses),
			DCVStatus:        named(w.DCVStatus, dcvStates),
			DCVMethod:        methodName(w.DCVMethod), CreatedAt: w.CreatedAt.Time,
			ValidTill: w.ExpiresAt.Time,
		})
	}
	slices.SortFunc(domains, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return domains, nil
}

// isBlank reports whether a member is there and empty.
func isBlank(raw json.RawMessage) bool {
	return bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte(`""`))
}

type wireCriteria struct {
	GroupNumber string `json:"groupNumber,omitempty"`
	From        string `json:"orderDateFrom,omitempty"`
	Till        string `json:"orderDateTill,omitempty"`
	DomainName  string `json:"domainName,omitempty"`
	PageNumber  string `json:"pageNumber"`
	PageSize    string `json:"pageSize"`
}

type wireStatementKey struct {
	GroupNumber string `json:"groupNumber"`
	PageNumber  string `json:"pageNumber"`
	PageSize    string `json:"pageSize"`
}

// wireV1Page counts in numbers, but for the current page, which is a string (observed 2026).
type wireV1Page struct {
	Current *count          `json:"currentPage"`
	Pages   *count          `json:"noOfPages"`
	Total   *count          `json:"totalNoOfResults"`
	Orders  json.RawMessage `json:"ordersArray"`
}

// newPage makes a page of the rows, with the counts of w.
func newPage[T any](w wireV1Page, rows []T) page[T] {
	p := page[T]{rows: rows, number: -1, total: -1, pages: -1}
	if w.Current != nil {
		p.number = int(*w.Current)
	}
	if w.Total != nil && (*w.Total > 0 || len(rows) == 0) {
		p.total = int(*w.Total)
	}
	if w.Pages != nil && (*w.Pages > 0 || len(rows) == 0) {
		p.pages = int(*w.Pages)
	}
	return p
}

func decodeV1Report(body []byte) (page[wireReportRow], error) {
	none := page[wireReportRow]{number: -1, total: -1, pages: -1}
	details, err := member(body, "orderDetails")
	if err != nil {
		return none, err
	}
	var w wireV1Page
	if err := unmarshalObject(details, &w); err != nil {
		return none, err
	}
	if w.Orders == nil && (w.Total == nil || *w.Total > 0) {
		return none, errWrongShape
	}
	if w.Orders == nil || isBlank(w.Orders) {
		return newPage[wireReportRow](w, nil), nil
	}
	rows, err := decodeRows[wireReportRow](w.Orders)
	if err != nil {
		return none, err
	}
	return newPage(w, rows), nil
}

// decodeV1Ledger reads the answer to GetLedgerStatementDetails, of which no source shows a sample:
// rows are looked for in the block that has the request's name, which is a list or holds one.
func decodeV1Ledger(body []byte) (page[wireLedgerRow], error) {
	none := page[wireLedgerRow]{number: -1, total: -1, pages: -1}
	details, err := member(body, "statementDetails")
	if err != nil {
		return none, err
	}
	var w wireV1Page
	if bytes.HasPrefix(details, []byte("{")) {
		var members map[string]json.RawMessage
		if err := unmarshalObject(details, &members); err != nil {
			return none, err
		}
		_ = json.Unmarshal(details, &w) // counts that cannot be read stay absent
		details = nil
		for _, value := range members {
			if bytes.HasPrefix(value, []byte("[")) {
				details = value
			}
		}
	}
	if details == nil || isBlank(details) {
		return newPage[wireLedgerRow](w, nil), nil
	}
	rows, err := decodeRows[wireLedgerRow](details)
	if err != nil {
		return none, err
	}
	return newPage(w, rows), nil
}
