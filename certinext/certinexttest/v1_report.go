// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Page sizes of the orders report of version 1. The text allows 100 alone;
// up to 500 were seen to work.
const (
	v1PageSize    = 100
	v1MaxPageSize = 500
)

type wireV1Search struct {
	SearchCriteria *wireV1Criteria `json:"searchCriteria"`
}

// wireV1Criteria are the filters of the report; a blank one filters nothing.
type wireV1Criteria struct {
	ProductCode          string              `json:"productCode"`
	GroupNumber          string              `json:"groupNumber"`
	OrderDateFrom        string              `json:"orderDateFrom"`
	OrderDateTill        string              `json:"orderDateTill"`
	OrganizationName     string              `json:"organizationName"`
	DomainName           string              `json:"domainName"`
	RequestNumber        string              `json:"requestNumber"`
	OrderNumber          string              `json:"orderNumber"`
	OrderStatusID        string              `json:"orderStatusId"`
	CertExpiryDateFrom   string              `json:"certExpiryDateFrom"`
	CertExpiryDateTill   string              `json:"certExpiryDateTill"`
	RequestorEmailID     string              `json:"requestorEmailId"`
	PageNumber           string              `json:"pageNumber"`
	PageSize             string              `json:"pageSize"`
	TagSearchCriteria    string              `json:"tagSearchCriteria"` // 1 for any tag, 2 for all
	CertificateChain     string              `json:"certificateChain"`
	CertificateTrustType string              `json:"certificateTrustType"` // 1 public, 2 private
	IssuerCA             string              `json:"issuerCA"`
	Tags                 []string            `json:"tags"`
	CustomFields         []wireV1CustomField `json:"customFields"`
}

// wireV1Report: the counts are JSON numbers and currentPage is a string
// (observed). There is no certificate in a row, and no requestor.
type wireV1Report struct {
	NoOfPages        int               `json:"noOfPages"`
	TotalNoOfResults int               `json:"totalNoOfResults"`
	PageSize         int               `json:"pageSize"` // rows of this page
	CurrentPage      string            `json:"currentPage"`
	OrdersArray      []wireV1ReportRow `json:"ordersArray"`
}

type wireV1ReportRow struct {
	OrderNumber             string                `json:"orderNumber"` // blank for drafts
	RequestNumber           string                `json:"requestNumber"`
	OrderStatusID           string                `json:"orderStatusId"`
	OrderStatus             string                `json:"orderStatus"`
	CertificateStatusID     string                `json:"certificateStatusId"`
	CertificateStatus       string                `json:"certificateStatus"`
	DomainName              string                `json:"domainName"`
	OrganizationName        string                `json:"organizationName"`
	GroupNumber             string                `json:"groupNumber"`
	ProductCode             string                `json:"productCode"`
	CertificateSerialNumber string                `json:"certificateSerialNumber"` // decimal
	CertificateExpiryDate   string                `json:"certificateExpiryDate"`
	IssuerCA                string                `json:"issuerCA"`
	CertificateTrustType    string                `json:"certificateTrustType"`
	OrderDate               string                `json:"orderDate"`
	ExpiresWithin           string                `json:"expiresWithin"` // days
	Tags                    []string              `json:"tags"`
	CustomFields            []wireV1ReportedField `json:"customFields"`
	CountryName             string                `json:"countryName"`
}

// wireV1ReportedField is a custom field in a row (documented).
type wireV1ReportedField struct {
	FieldID    string `json:"fieldID"`
	FieldName  string `json:"fieldName"`
	FieldValue string `json:"fieldValue"`
}

// ordersReport pages through all orders and drafts. A search
// without a result is a failure, as was observed; with which code or words is
// not known.
func (s version1) ordersReport(c *call) (reply, *problem) {
	var req wireV1Search
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	if req.SearchCriteria == nil {
		return reply{}, v1Failure("EMS-1119", `"searchCriteria" block cannot be empty.`)
	}
	page, size, problem := v1Paging(req.SearchCriteria.PageNumber, req.SearchCriteria.PageSize)
	if problem != nil {
		return reply{}, problem
	}
	filter, problem := s.filter(c, *req.SearchCriteria)
	if problem != nil {
		return reply{}, problem
	}
	size = s.reportSize(size)
	listed := s.reported(c.now, filter)
	var shown []wireV1ReportRow
	for _, o := range pageOf(listed, page, size) {
		shown = append(shown, s.reportRow(o, c.now))
	}
	if len(shown) == 0 {
		return reply{}, v1Failure(wordsOnly, "No records found.")
	}
	return s.success(c, map[string]any{"orderDetails": wireV1Report{
		NoOfPages: pageCount(len(listed), size), TotalNoOfResults: len(listed),
		PageSize: len(shown), CurrentPage: strconv.Itoa(page), OrdersArray: shown,
	}})
}

// v1Paging reads a page number and a page size, which have defaults.
func v1Paging(number, size string) (int, int, *problem) {
	page, errPage := strconv.Atoi(orDefault(number, "1"))
	rows, errSize := strconv.Atoi(orDefault(size, strconv.Itoa(v1PageSize)))
	return page, rows, firstUnmet(
		demand{
			errPage == nil && page >= 1 && page <= 1_000_000, "EMS-1114", "Invalid Page Number.",
		},
		demand{
			errSize == nil && rows >= 1 && rows <= v1MaxPageSize, "EMS-1115", "Invalid Page Size.",
		},
	)
}

func (s version1) reportRow(o *order, now time.Time) wireV1ReportRow {
	order, certificate := s.statusIDs(o, now)
	row := wireV1ReportRow{
		OrderNumber: o.id, RequestNumber: o.requestID, OrderStatusID: order.id,
		OrderStatus: order.name, CertificateStatusID: certificate.id,
		CertificateStatus: certificate.name, DomainName: o.domain,
		GroupNumber: orDefault(o.group, s.defaultGroup()), ProductCode: o.product.Code,
		CertificateTrustType: o.v1TrustType(), OrderDate: v1Time(o.createdAt),
		Tags: append([]string{}, o.tags...), CustomFields: []wireV1ReportedField{},
	}
	for _, f := range o.reportedFields() {
		row.CustomFields = append(row.CustomFields, wireV1ReportedField(f))
	}
	switch {
	case o.organization != nil:
		row.OrganizationName, row.CountryName = o.organization.Name, o.organization.CountryCode
	case o.subject != nil:
		row.OrganizationName, row.CountryName = o.subject.organization, o.subject.country
	}
	if sg := o.certificate(); s.pemReady(sg, now) {
		row.CertificateSerialNumber = sg.cert.SerialNumber.String()
		row.CertificateExpiryDate = v1Time(sg.cert.NotAfter)
		row.IssuerCA = sg.cert.Issuer.CommonName
		row.ExpiresWithin = strconv.Itoa(int(sg.cert.NotAfter.Sub(now).Hours() / 24))
	}
	return row
}

// v1TrustType is "1" for public trust and "2" for the customer's own CA.
func (o *order) v1TrustType() string {
	if o.family == FamilyPrivatePKI {
		return "2"
	}
	return "1"
}

// filter reads the filters. Most take several values with commas between
// them; names are compared whole, in any case.
func (s version1) filter(c *call, f wireV1Criteria) (func(*order) bool, *problem) {
	if problem := s.checkCriteria(f); problem != nil {
		return nil, problem
	}
	ordered, problem := s.span(c, f.OrderDateFrom, f.OrderDateTill, v1OrderDates)
	if problem != nil {
		return nil, problem
	}
	expires, problem := s.span(c, f.CertExpiryDateFrom, f.CertExpiryDateTill, v1ExpiryDates)
	if problem != nil {
		return nil, problem
	}
	if isUnfiltered(f) {
		return func(*order) bool { return true }, nil
	}
	return func(o *order) bool {
		row := s.reportRow(o, c.now)
		var notAfter time.Time
		if sg := o.certificate(); sg != nil {
			notAfter = sg.cert.NotAfter
		}
		return anyOf(f.ProductCode, row.ProductCode) && anyOf(f.GroupNumber, row.GroupNumber) &&
			anyOf(f.OrganizationName, row.OrganizationName) &&
			anyOf(f.DomainName, row.DomainName) &&
			anyOf(f.RequestNumber, row.RequestNumber) && anyOf(f.OrderNumber, row.OrderNumber) &&
			anyOf(f.OrderStatusID, row.OrderStatusID) &&
			anyOf(f.RequestorEmailID, o.requestor.Email) &&
			anyOf(f.CertificateTrustType, row.CertificateTrustType) &&
			strings.Contains(row.IssuerCA, f.IssuerCA) &&
			f.wantsTags(o.tags) && ordered(o.createdAt) && expires(notAfter)
	}, nil
}

// isUnfiltered reports whether a search selects everything.
func isUnfiltered(f wireV1Criteria) bool {
	f.PageNumber, f.PageSize = "", ""
	return reflect.DeepEqual(f, wireV1Criteria{Tags: f.Tags[:0], CustomFields: f.CustomFields[:0]})
}

func (s version1) checkCriteria(f wireV1Criteria) *problem {
	if problem := s.checkGroup(f.GroupNumber); problem != nil {
		return problem
	}
	return firstUnmet(
		demand{
			each(f.OrderStatusID, "1", "2", "3", "4", "5", "6", "7", "8", "9"), "EMS-1117",
			"Invalid Status ID.",
		},
		demand{
			oneOf(f.TagSearchCriteria, "", "1", "2"), "EMS-1126", "Invalid Tag Search Criteria.",
		},
		demand{oneOf(f.CertificateChain, "", "0", "1"), wordsOnly, "Invalid Certificate Chain."},
		demand{
			oneOf(f.CertificateTrustType, "", "1", "2"), wordsOnly,
			"Invalid Certificate Trust Type.",
		},
		demand{
			len(f.CustomFields) == 0, "EMS-1210", "Custom Fields for this account are not mapped.",
		},
	)
}

// wantsTags reports whether tags hold one of those searched for, or all.
func (f wireV1Criteria) wantsTags(tags []string) bool {
	found := 0
	for _, t := range f.Tags {
		if slices.Contains(tags, t) {
			found++
		}
	}
	return len(f.Tags) == 0 || found == len(f.Tags) || (found > 0 && f.TagSearchCriteria != "2")
}

// anyOf reports whether value is one of a comma-separated list; an empty list
// holds everything.
func anyOf(list, value string) bool {
	if list == "" {
		return true
	}
	for wanted := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(wanted), value) {
			return true
		}
	}
	return false
}

// each reports whether every value of a comma-separated list is allowed.
func each(list string, allowed ...string) bool {
	for v := range strings.SplitSeq(list, ",") {
		if list != "" && !slices.Contains(allowed, strings.TrimSpace(v)) {
			return false
		}
	}
	return true
}
