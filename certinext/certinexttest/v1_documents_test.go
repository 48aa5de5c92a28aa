// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// pdf is a file that is short and begins as one does. Its base64 ends in =.
const pdf = "%PDF-1.7\n\xff"

// v1Document is one file, encoded twice.
func v1Document(content string) m {
	return m{
		"id": "000001", "fileName": "proof.pdf", "description": "ID proof",
		"base64Value": url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(content))),
	}
}

// v1Documents is the body that hands in files for an order.
func v1Documents(number string, contents ...string) m {
	files := []m{}
	for _, content := range contents {
		files = append(files, v1Document(content))
	}
	return m{"documentDetails": merge(ref(number), m{
		"numberOfDocuments": strconv.Itoa(len(files)), "documentsAttached": files,
	})}
}

func TestV1SubmitDocument(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	number := r.place("GenerateOrderSignature", v1Signer("natural-person"))
	a := r.call("SubmitDocument", v1Documents(number, pdf, pdf))
	require.Len(t, a.ok(), 1, "meta and nothing else")
	require.Contains(t, a.header.Get("Link"), "/signature-certificates>")
	r.call("SubmitDocument", v1Documents(number, pdf)).ok()
	o, _ := r.srv.Order(number)
	require.Equal(t, 3, o.Documents, "they add up")
	require.Equal(t, "8/2", r.ids(number))

	inV2, _ := r.signer("legal-entity", nil)
	r.call("SubmitDocument", v1Documents(inV2, pdf)).ok()
	r.call("SubmitDocument", v1Documents(r.order(ovOrder("www.example.com")), pdf)).ok()

	largest := pdf + strings.Repeat("\x00", 3<<20-len(pdf))
	r.call("SubmitDocument", v1Documents(number, largest)).ok()
	ten := make([]string, 10)
	for i := range ten {
		ten[i] = pdf
	}
	r.call("SubmitDocument", v1Documents(number, ten...)).ok()
}

func TestV1SubmitDocumentRefusals(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	signer := r.place("GenerateOrderSignature", v1Signer("natural-person"))
	cancelled := r.place("GenerateOrderSignature", v1Signer("natural-person"))
	r.call("RejectOrder", m{"orderDetails": m{"orderNumber": cancelled, "rejectRemarks": "mistake"}}).ok()
	dv, mail := r.buy(v1Order("www.example.com")), r.place("GenerateOrderSMIME", v1Mail())
	issued := r.buy(merge(v1Order("www.example.com"), m{
		"productCode": "846", "csr": csr(t, newKey(t), "www.example.com"), "organizationDetails": m{
			"preVetting": "1", "organizationNumber": certinexttest.DefaultOrganization, "prevettingToken": certinexttest.DefaultConsentToken,
		},
	}))
	require.Equal(t, "6/20", r.ids(issued))

	details := func(change m) m {
		return m{"documentDetails": merge(v1Documents(signer, pdf)["documentDetails"].(m), change)}
	}
	file := func(change m) m { return details(m{"documentsAttached": []m{merge(v1Document(pdf), change)}}) }
	eleven := make([]string, 11)
	for i := range eleven {
		eleven[i] = pdf
	}
	cases := map[string]struct {
		body        m
		code, words string
	}{
		"an order that is not there":      {v1Documents("1", pdf), "EMS-943", ""},
		"nobody's order":                  {details(m{"requestorEmail": ""}), "EMS-924", ""},
		"an order for a host takes none":  {v1Documents(dv, pdf), "EMS-956", "takes no documents"},
		"an order for mail takes none":    {v1Documents(mail, pdf), "EMS-956", "takes no documents"},
		"a cancelled order takes none":    {v1Documents(cancelled, pdf), "EMS-956", "cancelled"},
		"an issued order takes none":      {v1Documents(issued, pdf), "EMS-956", "issued"},
		"no files":                        {v1Documents(signer), "", "cannot be empty"},
		"two are announced, one is there": {details(m{"numberOfDocuments": "2"}), "", "Number of Documents"},
		"none is announced":               {details(m{"numberOfDocuments": ""}), "", "Number of Documents"},
		"the number is a number":          {details(m{"numberOfDocuments": 1}), "EMS-902", "numberOfDocuments"},
		"eleven files":                    {v1Documents(signer, eleven...), "EMS-999", "limit"},
		"base64 that is not URL-encoded":  {file(m{"base64Value": base64.StdEncoding.EncodeToString([]byte(pdf))}), "", "not URL-encoded"},
		"URL encoding that is none":       {file(m{"base64Value": "%zz"}), "", "base64Value"},
		"base64 that is none":             {file(m{"base64Value": "JVBERi0xLjc!"}), "", "base64Value"},
		"base64 that lacks its end":       {file(m{"base64Value": "JVBERi0xLjcK%2Fw"}), "", "base64Value"},
		"no content":                      {file(m{"base64Value": ""}), "", "base64Value cannot be empty"},
		"a file that is no PDF":           {v1Documents(signer, "PK\x03\x04"), "", "not a PDF"},
		"a file that is not called one":   {file(m{"fileName": "proof.docx"}), "", "Only PDF"},
		"a file of more than 3 MB":        {v1Documents(signer, pdf+strings.Repeat("\x00", 3<<20-len(pdf)+1)), "", "3 MB"},
		"a file without a description":    {file(m{"description": " "}), "", "description cannot be empty"},
		"a description of 26 characters":  {file(m{"description": strings.Repeat("é", 26)}), "", "25 characters"},
		"a file without an id":            {file(m{"id": nil}), "", "ID cannot be empty"},
		"a bad one among good ones":       {details(m{"numberOfDocuments": "2", "documentsAttached": []m{v1Document(pdf), v1Document("PK")}}), "", "not a PDF"},
		"a block of another verb":         {m{"orderDetails": ref(signer)}, "EMS-902", "orderDetails"},
		"a member that no file has":       {file(m{"content": "x"}), "EMS-902", "content"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, r.on(t).call("SubmitDocument", c.body).fails(c.code), c.words)
		})
	}
	require.Equal(t, "2/3", r.ids(signer))
	o, _ := r.srv.Order(signer)
	require.Zero(t, o.Documents, "what was refused does not count")
}

func TestV1FilesMakeALargeBody(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	number := r.place("GenerateOrderSignature", v1Signer("natural-person"))
	two := v1Documents(number, pdf+strings.Repeat("x", 2<<20), pdf)
	r.call("SubmitDocument", two).ok()
	require.Equal(t, 413, r.call("TrackOrder", two).status, "other verbs take no files")
	padding := strings.Repeat(" ", 60<<20+1)
	body := toJSON(merge(m{"meta": v1Meta(r.now(), nil)}, v1Documents(number, pdf)))
	require.Equal(t, 413, r.do("POST", v1+"SubmitDocument", padding+body, "Authorization", "").status)
	o, _ := r.srv.Order(number)
	require.Equal(t, 2, o.Documents)
}
