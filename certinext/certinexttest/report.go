// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"slices"
	"time"
)

// reportFilters are the statuses that the report takes; the other ones were
// answered 422.
var reportFilters = []string{
	statusIssued, statusRevoked, statusExpired, statusCancelled, statusRejected,
	statusPendingApproval,
}

// Report page sizes are clamped to these.
const (
	reportPageSize    = 50
	reportMaxPageSize = 100
)

// A ReportOrder is the order of the rows in the orders report, of which nothing
// is documented.
type ReportOrder int

const (
	// ReportNewestFirst moves the rows to later pages with every new order.
	ReportNewestFirst ReportOrder = iota
	// ReportOldestFirst has new orders on the last page.
	ReportOldestFirst
)

var reportOrders = []string{
	ReportNewestFirst: "newest-first", ReportOldestFirst: "oldest-first",
}

// MarshalText names the order.
func (o ReportOrder) MarshalText() ([]byte, error) { return nameOf(reportOrders, o) }

// UnmarshalText reads newest-first or oldest-first.
func (o *ReportOrder) UnmarshalText(b []byte) error { return byName(reportOrders, b, o) }

type wireReportRow struct {
	OrderNumber             string              `json:"orderNumber"`
	RequestNumber           string              `json:"requestNumber"`
	ProductCode             string              `json:"productCode"`
	OrderStatus             string              `json:"orderStatus"`
	CertificateStatus       string              `json:"certificateStatus"`
	CertificateSerialNumber string              `json:"certificateSerialNumber"` // decimal
	CertificateExpiryDate   string              `json:"certificateExpiryDate"`
	IssuerCA                string              `json:"issuerCA"`
	DomainName              string              `json:"domainName"`
	OrganizationName        string              `json:"organizationName"`
	CountryName             string              `json:"countryName"`
	GroupNumber             string              `json:"groupNumber"`
	CustomFields            []wireReportedField `json:"customFields"`
	Tags                    []string            `json:"tags"`
	Originator              string              `json:"originator"`
	OrderDate               string              `json:"orderDate"`
}

// ordersReport pages through all orders. Documented: 501.
// Observed: pages count from 1, page 0 is 1, the size is clamped, and a page
// beyond the end is the last one again.
func (s version2) ordersReport(c *call) (reply, *problem) {
	if !c.live() {
		return reply{}, notWired("POST /emSignHub-API/GetOrderReport")
	}
	filter, problem := s.reportFilter(c)
	if problem != nil {
		return reply{}, problem
	}
	page, problem := c.number("page", 1)
	if problem != nil {
		return reply{}, problem
	}
	size, problem := c.number("size", reportPageSize)
	if problem != nil {
		return reply{}, problem
	}
	size = s.reportSize(min(max(size, 1), reportMaxPageSize))
	listed := s.reported(c.now, func(o *order) bool { return o.id != "" && filter(o) })
	pages := pageCount(len(listed), size)
	page = max(min(page, pages), 1)
	rows := []wireReportRow{}
	for _, o := range pageOf(listed, page, size) {
		rows = append(rows, s.reportRow(o, c.now))
	}
	return respond(http.StatusOK, wirePage{rows, page, size, len(listed), pages})
}

// wireReportedField is a custom field in a row. Version 1's is documented; version 2 was only seen
// with none, and is given the same in the spelling of its requests.
type wireReportedField struct {
	FieldID    string `json:"fieldId"`
	FieldName  string `json:"fieldName"`
	FieldValue string `json:"fieldValue"`
}

func (o *order) reportedFields() []wireReportedField {
	fields := []wireReportedField{}
	for _, given := range o.customFields {
		w := wireReportedField{FieldID: given.FieldID, FieldValue: given.Value}
		for _, f := range o.product.CustomFields {
			if f.ID == given.FieldID {
				w.FieldName = f.Name
			}
		}
		fields = append(fields, w)
	}
	return fields
}

// reported returns the orders in the report that a filter selects, in the
// report's order.
func (s *Server) reported(now time.Time, filter func(*order) bool) []*order {
	var listed []*order
	s.settleAll(now)
	for _, o := range s.book.sequence {
		if !now.Before(o.createdAt.Add(s.ReportDelay)) && filter(o) {
			listed = append(listed, o)
		}
	}
	if s.ReportOrder == ReportNewestFirst {
		slices.Reverse(listed)
	}
	return listed
}

// reportSize returns how many rows a page has for a client that asked for size.
func (s *Server) reportSize(size int) int {
	if s.ReportPageSize > 0 {
		return min(size, s.ReportPageSize)
	}
	return size
}

// pageOf returns a page of a list; the first one is 1.
func pageOf(listed []*order, page, size int) []*order {
	start := min((page-1)*size, len(listed))
	return listed[start:min(start+size, len(listed))]
}

// reportFilter reads the filters. from and to are days of the order date.
func (s version2) reportFilter(c *call) (func(*order) bool, *problem) {
	status, group := c.arg("status"), c.arg("groupNumber")
	if status != "" && !slices.Contains(reportFilters, status) {
		return nil, rule("", "Invalid order status filter").because(reason{
			Name: "report-order-status", Source: sourceLive,
		})
	}
	if c.arg("productType") != "" {
		return nil, invalidField("productType", "unknown query parameter")
	}
	if problem := s.checkGroup(group); problem != nil {
		return nil, problem
	}
	from, to := c.arg("from"), c.arg("to")
	for name, day := range map[string]string{"from": from, "to": to} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return nil, invalidField(name, "must be YYYY-MM-DD")
		}
	}
	return func(o *order) bool {
		return (status == "" || s.shownStatus(o, c.now) == status) &&
			(group == "" || orDefault(o.group, s.defaultGroup()) == group) &&
			s.Unknowns.ReportDays.selects(o.createdAt, from, to)
	}, nil
}

func (s *Server) defaultGroup() string {
	for _, g := range s.groups() {
		if g.Default {
			return g.Number
		}
	}
	return ""
}

// reportRow: the statuses are prose.
func (s version2) reportRow(o *order, now time.Time) wireReportRow {
	row := wireReportRow{
		OrderNumber: o.id, RequestNumber: o.requestID,
		OrderStatus:       orderState(s.shownStatus(o, now)),
		CertificateStatus: s.certificateState(o, now), DomainName: o.domain,
		GroupNumber: orDefault(o.group, s.defaultGroup()), CustomFields: o.reportedFields(),
		Tags: append([]string{}, o.tags...), Originator: "emSign-Hub API",
		OrderDate: rfc3339(o.createdAt),
	}
	if !s.ReportWithoutProducts {
		row.ProductCode = o.product.Code
	}
	switch {
	case o.organization != nil:
		row.OrganizationName, row.CountryName = o.organization.Name, o.organization.CountryCode
	case o.subject != nil:
		row.OrganizationName, row.CountryName = o.subject.organization, o.subject.country
	}
	if o.renewalOf != "" {
		row.Originator = "Auto Renewal" // inferred: somebody else's
	}
	if sg := o.certificate(); sg != nil && s.pemReady(sg, now) {
		row.CertificateSerialNumber = sg.cert.SerialNumber.String()
		row.CertificateExpiryDate = rfc3339(sg.cert.NotAfter)
		row.IssuerCA = sg.cert.Issuer.CommonName
	}
	return row
}
