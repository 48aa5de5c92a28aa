// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func (r *rig) search(criteria m) v1Answer {
	r.t.Helper()
	return r.call("GetOrderReport", m{"searchCriteria": criteria})
}

// found are the rows of a search that finds something.
func (r *rig) found(criteria m) (rows []m, page m) {
	r.t.Helper()
	page = r.search(criteria).block("orderDetails")
	for _, row := range page["ordersArray"].([]any) {
		rows = append(rows, row.(m))
	}
	return rows, page
}

// names are the domains of rows.
func names(rows []m) []string {
	var list []string
	for _, row := range rows {
		list = append(list, row["domainName"].(string))
	}
	return list
}

func TestV1ReportPaging(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	require.NotEmpty(t, r.search(m{}).fails(""), "an empty report is a failure")
	for i := range 5 {
		r.buy(v1Order(fmt.Sprintf("h%d.example.com", i)))
	}
	rows, v := r.found(m{"pageNumber": "2", "pageSize": "2"})
	require.Equal(t, []string{"h2.example.com", "h1.example.com"}, names(rows), "newest first")
	require.InDelta(t, 3, v["noOfPages"], 0, "the counts are numbers")
	require.InDelta(t, 5, v["totalNoOfResults"], 0)
	require.InDelta(t, 2, v["pageSize"], 0)
	require.Equal(t, "2", v["currentPage"], "and this one is a string")

	rows, v = r.found(m{"pageNumber": "3", "pageSize": "2"})
	require.Len(t, rows, 1)
	require.InDelta(t, 1, v["pageSize"], 0, "of the rows on this page")
	rows, v = r.found(m{"pageNumber": "", "pageSize": ""})
	require.Len(t, rows, 5)
	require.Equal(t, "1", v["currentPage"])
	r.search(m{"pageNumber": "4", "pageSize": "2"}).fails("")
	r.search(m{"pageSize": "500"}).ok()
	for name, c := range map[string]struct {
		criteria m
		code     string
	}{
		"a page size of 501":   {m{"pageSize": "501"}, "EMS-1115"},
		"a page size of 0":     {m{"pageSize": "0"}, "EMS-1115"},
		"page 0":               {m{"pageNumber": "0"}, "EMS-1114"},
		"a page that is no":    {m{"pageNumber": "x"}, "EMS-1114"},
		"a number for a page":  {m{"pageNumber": 1}, "EMS-902"},
		"an unknown criterion": {m{"remarks": "x"}, "EMS-902"},
	} {
		t.Run(name, func(t *testing.T) { r.on(t).search(c.criteria).fails(c.code) })
	}
	r.call("GetOrderReport", nil).fails("EMS-1119")
}

func TestV1ReportRows(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, VerifiedDomains: []string{"example.com"}})
	issued := r.buy(merge(v1Order("www.example.com"), m{
		"csr": csr(t, newKey(t), "www.example.com"), "additionalInformation": m{"remarks": "r", "tags": []string{"vault-order:7"}},
	}))
	draft := r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("draft.example.com"), m{"saveAndHold": "1"})}).block("orderDetails")
	placed := r.order(dvOrder("v2.example.com"))

	rows, _ := r.found(m{})
	require.Equal(t, []string{"v2.example.com", "draft.example.com", "www.example.com"}, names(rows))
	require.Equal(t, placed, rows[0]["orderNumber"], "orders of version 2 are here, too")
	require.Empty(t, rows[1]["orderNumber"], "a draft has a request number only")
	require.Equal(t, draft["requestNumber"], rows[1]["requestNumber"])
	require.Equal(t, "7", rows[1]["orderStatusId"])
	require.Equal(t, []any{}, rows[1]["tags"])
	row := rows[2]
	o, _ := r.srv.Order(issued)
	require.Equal(t, m{
		"orderNumber": issued, "requestNumber": o.RequestID, "orderStatusId": "6", "orderStatus": "Order Fulfilled",
		"certificateStatusId": "20", "certificateStatus": "Certificate Generated", "domainName": "www.example.com",
		"organizationName": "Example Corporation", "countryName": "US", "groupNumber": certinexttest.DefaultGroup, "productCode": "842",
		"certificateSerialNumber": leaf(t, o.CertificatePEM).SerialNumber.String(), "certificateExpiryDate": "2026-11-27 12:59:59",
		"issuerCA": leaf(t, o.CertificatePEM).Issuer.CommonName, "certificateTrustType": "1", "orderDate": "2026-05-12 13:00:00",
		"expiresWithin": "198", "tags": []any{"vault-order:7"}, "customFields": []any{},
	}, row)
	v2, _ := r.report("")
	require.Equal(t, []any{"vault-order:7"}, v2[1]["tags"], "and the tags of version 1 in version 2's")
}

func TestV1ReportFilters(t *testing.T) {
	c := newClock() // 2026-05-12 13:00 UTC
	r := newRig(t, &certinexttest.Server{
		Now: c.now, TokenTTL: 1000 * time.Hour, VerifiedDomains: []string{"example.com"},
		Groups: []certinexttest.Group{{Number: certinexttest.DefaultGroup, Default: true}, {Number: "3000000002"}},
	})
	tagged := func(tags ...string) m { return m{"additionalInformation": m{"remarks": "r", "tags": tags}} }
	a := r.buy(merge(v1Order("a.example.com"), tagged("team:one", "stage:dev")))
	c.advance(24 * time.Hour)
	r.buy(merge(merge(v1Order("b.example.com"), tagged("team:one")), m{"delegationInformation": m{"groupNumber": "3000000002"}, "organizationDetails": nil}))
	c.advance(24 * time.Hour)
	r.buy(merge(v1Order("c.example.com"), m{"csr": csr(t, newKey(t), "c.example.com")}))
	r.call("GenerateOrderPrivatePKI", m{"orderDetails": m{
		"productCode": "149", "requestorInformation": merge(v1Requestor(), m{"requestorEmail": "other@example.com"}),
		"certificateInformation": m{"domainName": "d.local"}, "csr": csr(t, newKey(t), "d.local"),
	}}).ok()
	request := r.srv.Orders()[0].RequestID

	for name, c := range map[string]struct {
		criteria m
		want     []string
	}{
		"one name":                     {m{"domainName": "A.Example.COM"}, []string{"a.example.com"}},
		"two names":                    {m{"domainName": "a.example.com, c.example.com"}, []string{"c.example.com", "a.example.com"}},
		"part of a name is no name":    {m{"domainName": "example.com"}, nil},
		"an order number":              {m{"orderNumber": a}, []string{"a.example.com"}},
		"a request number":             {m{"requestNumber": request}, []string{"a.example.com"}},
		"a request number is no order": {m{"orderNumber": request}, nil},
		"a product":                    {m{"productCode": "149"}, []string{"d.local"}},
		"a group":                      {m{"groupNumber": "3000000002"}, []string{"b.example.com"}},
		"an organization":              {m{"organizationName": "example corporation"}, []string{"c.example.com", "a.example.com"}},
		"fulfilled orders":             {m{"orderStatusId": "6"}, []string{"d.local", "c.example.com"}},
		"accepted and rejected ones":   {m{"orderStatusId": "2,4"}, []string{"b.example.com", "a.example.com"}},
		"a requestor":                  {m{"requestorEmailId": "other@example.com"}, []string{"d.local"}},
		"private trust":                {m{"certificateTrustType": "2"}, []string{"d.local"}},
		"a chain changes nothing":      {m{"certificateChain": "1", "productCode": "149"}, []string{"d.local"}},
		"an issuer in part":            {m{"issuerCA": "Private PKI Issuing"}, []string{"d.local"}},
		"one tag":                      {m{"tags": []string{"team:one"}}, []string{"b.example.com", "a.example.com"}},
		"any of two tags":              {m{"tags": []string{"team:one", "stage:dev"}, "tagSearchCriteria": "1"}, []string{"b.example.com", "a.example.com"}},
		"both of two tags":             {m{"tags": []string{"team:one", "stage:dev"}, "tagSearchCriteria": "2"}, []string{"a.example.com"}},
		"an unknown tag":               {m{"tags": []string{"team:two"}}, nil},
		"one day":                      {m{"orderDateFrom": "2026-05-13", "orderDateTill": "2026-05-13"}, []string{"b.example.com"}},
		"a span with a zone":           {m{"orderDateFrom": "2026-05-13T18:30:00+05:30", "orderDateTill": "2026-05-13T18:30:00+05:30"}, []string{"b.example.com"}},
		"a span that ends before":      {m{"orderDateFrom": "2026-05-12", "orderDateTill": "2026-05-13T12:59:59"}, []string{"a.example.com"}},
		"from a day on":                {m{"orderDateFrom": "2026-05-13"}, []string{"d.local", "c.example.com", "b.example.com"}},
		"till a minute":                {m{"orderDateTill": "2026-05-12T13:00"}, []string{"a.example.com"}},
		"expiry":                       {m{"certExpiryDateFrom": "2026-06-13", "certExpiryDateTill": "2026-06-13"}, []string{"d.local"}},
		"expiry of public TLS":         {m{"certExpiryDateFrom": "2026-11-29", "certExpiryDateTill": "2026-11-29"}, []string{"c.example.com"}},
		"expiry after that":            {m{"certExpiryDateFrom": "2026-06-14", "certExpiryDateTill": "2026-06-20"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == nil {
				r.on(t).search(c.criteria).fails("")
				return
			}
			rows, _ := r.on(t).found(c.criteria)
			require.Equal(t, c.want, names(rows))
		})
	}
	for name, c := range map[string]struct {
		criteria m
		code     string
	}{
		"a date in another form": {m{"orderDateFrom": "12-05-2026"}, "EMS-1108"},
		"a till that is no date": {m{"orderDateTill": "x"}, "EMS-1109"},
		"a span the wrong way":   {m{"orderDateFrom": "2026-05-13", "orderDateTill": "2026-05-12"}, "EMS-1110"},
		"an expiry that is none": {m{"certExpiryDateFrom": "x"}, "EMS-1111"},
		"an unknown group":       {m{"groupNumber": "1"}, "EMS-1137"},
		"an unknown status":      {m{"orderStatusId": "6,10"}, "EMS-1117"},
		"a third way with tags":  {m{"tagSearchCriteria": "3"}, "EMS-1126"},
		"a third trust":          {m{"certificateTrustType": "3"}, ""},
	} {
		t.Run(name, func(t *testing.T) { r.on(t).search(c.criteria).fails(c.code) })
	}
}

func TestV1ReportDatesAsPublished(t *testing.T) {
	c := newClock()
	srv := &certinexttest.Server{Now: c.now, Dialect: certinexttest.Documented}
	r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
	r.buy(v1Order("www.example.com"))
	for name, c := range map[string]struct {
		criteria m
		code     string
	}{
		"a from needs a till":     {m{"orderDateFrom": "2026-05-12"}, "EMS-1121"},
		"a till needs a from":     {m{"orderDateTill": "2026-05-12"}, "EMS-1120"},
		"an expiry needs both":    {m{"certExpiryDateFrom": "2026-05-12"}, "EMS-1123"},
		"no order lies ahead":     {m{"orderDateFrom": "2026-05-12", "orderDateTill": "2026-05-13"}, "EMS-1118"},
		"an expiry may lie ahead": {m{"certExpiryDateFrom": "2026-05-12", "certExpiryDateTill": "2027-05-13"}, ""},
	} {
		t.Run(name, func(t *testing.T) { r.on(t).search(c.criteria).fails(c.code) })
	}
	rows, _ := r.found(m{"orderDateFrom": "2026-05-12", "orderDateTill": "2026-05-12"})
	require.Len(t, rows, 1)
}

func TestV1ReportDelay(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, ReportDelay: time.Minute})
	r.buy(v1Order("www.example.com"))
	r.search(m{}).fails("")
	c.advance(time.Minute)
	r.search(m{}).ok()
}

func TestV1ReportOrders(t *testing.T) {
	for order, want := range map[certinexttest.ReportOrder][]string{
		certinexttest.ReportNewestFirst: {"h2.example.com", "h1.example.com", "h0.example.com"},
		certinexttest.ReportOldestFirst: {"h0.example.com", "h1.example.com", "h2.example.com"},
	} {
		r := newRig(t, &certinexttest.Server{ReportOrder: order, ReportPageSize: 2})
		for i := range 3 {
			r.buy(v1Order(fmt.Sprintf("h%d.example.com", i)))
		}
		rows, v := r.found(m{"pageNumber": "1", "pageSize": "100"})
		require.Equal(t, want[:2], names(rows))
		require.InDelta(t, 2, v["noOfPages"], 0)
		rows, _ = r.found(m{"pageNumber": "2", "pageSize": "100"})
		require.Equal(t, want[2:], names(rows))
	}
}
