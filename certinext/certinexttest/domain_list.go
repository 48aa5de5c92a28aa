// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// domainFilters are the query parameters of the domain list.
var domainFilters = []string{
	"search", "exactMatch", "domainStatus", "dcvStatus", "dcvMethod", "fromDate", "toDate",
	"offset", "limit", "organizationId", "groupNumber", "includePending", "sortBy", "sortDir",
	"page", "size",
}

// domainPageSize is the default number of rows, cut off without a word.
const domainPageSize = 50

type wireDomainRow struct {
	CreatedAt        string `json:"createdAt"`
	DCVStatus        string `json:"dcvStatus"`
	DomainID         string `json:"domainId"`
	DomainName       string `json:"domainName"`
	OrganizationID   string `json:"organizationId"`
	OrganizationName string `json:"organizationName"`
	Status           string `json:"status"`
	ValidTill        string `json:"validTill,omitempty"`
}

type wirePage struct {
	Content       any `json:"content"`
	Page          int `json:"page"`
	Size          int `json:"size"`
	TotalElements int `json:"totalElements"`
	TotalPages    int `json:"totalPages"`
}

// pageCount is the number of pages that hold total rows.
func pageCount(total, size int) int { return (total + size - 1) / size }

// listDomains answers the wrapped page seen live, or the bare array that
// earlier answers were.
func (s domainCalls) listDomains(c *call) (reply, *problem) {
	if problem := s.checkDomainFilters(c); problem != nil {
		return reply{}, problem
	}
	rows := s.domainRows(c)
	if !c.live() {
		return respond(http.StatusOK, rows)
	}
	offset, problem := c.number("offset", 0)
	if problem != nil {
		return reply{}, problem
	}
	limit, problem := c.number("limit", domainPageSize)
	if problem != nil {
		return reply{}, problem
	}
	offset, limit = max(offset, 0), max(limit, 1)
	page := rows[min(offset, len(rows)):]
	page = page[:min(limit, len(page))]
	return respond(http.StatusOK, wirePage{
		page, offset / limit, limit, len(rows), pageCount(len(rows), limit),
	})
}

// checkDomainFilters: dcvStatus=EXPIRED and the two statuses together were
// answered 400.
func (s domainCalls) checkDomainFilters(c *call) *problem {
	switch {
	case c.arg("dcvStatus") == "EXPIRED":
		return malformed("dcvStatus EXPIRED is not supported")
	case c.arg("dcvStatus") != "" && c.arg("domainStatus") != "":
		return malformed("domainStatus and dcvStatus cannot be combined")
	case c.arg("sortBy") != "" &&
		!slices.Contains([]string{"domainName", "createdAt"}, c.arg("sortBy")):
		return malformed("sortBy is not supported")
	}
	return s.checkGroup(c.arg("groupNumber"))
}

// domainRows filters and sorts. Without sortBy the sequence differs from call
// to call, so that paging through it loses rows, as was observed.
func (s domainCalls) domainRows(c *call) []wireDomainRow {
	rows := []wireDomainRow{}
	for _, d := range s.zones {
		if d.matches(c) {
			rows = append(rows, d.row(c))
		}
	}
	switch c.arg("sortBy") {
	case "domainName":
		slices.SortStableFunc(rows, func(a, b wireDomainRow) int {
			return cmp.Compare(a.DomainName, b.DomainName)
		})
	case "createdAt":
		slices.SortStableFunc(rows, func(a, b wireDomainRow) int {
			return cmp.Compare(a.CreatedAt, b.CreatedAt)
		})
	default:
		s.shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	if c.arg("sortDir") == "desc" {
		slices.Reverse(rows)
	}
	return rows
}

func (d *accountDomain) matches(c *call) bool {
	search := strings.ToLower(c.arg("search"))
	found := strings.Contains(d.name, search)
	if c.arg("exactMatch") == "true" {
		found = d.name == search
	}
	wanted := func(name, value string) bool { return c.arg(name) == "" || c.arg(name) == value }
	created := d.createdAt.Format("2006-01-02")
	return found && wanted("domainStatus", d.domainStatus()) &&
		wanted("dcvStatus", d.dcvStatus(c.now)) &&
		wanted("dcvMethod", d.method) && wanted("organizationId", d.organizationNumber()) &&
		(c.arg("fromDate") == "" || created >= c.arg("fromDate")) &&
		(c.arg("toDate") == "" || created <= c.arg("toDate")) &&
		(c.arg("includePending") != "false" || !d.verifiedAt.IsZero())
}

func (d *accountDomain) organizationNumber() string {
	if d.organization == nil {
		return ""
	}
	return d.organization.Number
}

func (d *accountDomain) organizationName() string {
	if d.organization == nil {
		return ""
	}
	return d.organization.Name
}

func (d *accountDomain) row(c *call) wireDomainRow {
	w := wireDomainRow{
		CreatedAt: rfc3339(d.createdAt), DCVStatus: d.dcvStatus(c.now), DomainID: d.id,
		DomainName: d.name, OrganizationID: d.organizationNumber(),
		OrganizationName: d.organizationName(), Status: d.domainStatus(),
	}
	if !d.verifiedAt.IsZero() {
		w.ValidTill = rfc3339(d.validTill)
	}
	return w
}

// number reads an integer query parameter.
func (c *call) number(name string, byDefault int) (int, *problem) {
	text := c.arg(name)
	if text == "" {
		return byDefault, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, invalidField(name, "must be an integer")
	}
	return n, nil
}
