// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

type wireV1SubmitDocument struct {
	DocumentDetails struct {
		RequestorEmail    string           `json:"requestorEmail"`
		OrderNumber       string           `json:"orderNumber"`
		NumberOfDocuments string           `json:"numberOfDocuments"`
		DocumentsAttached []wireV1Document `json:"documentsAttached"`
	} `json:"documentDetails"`
}

type wireV1Document struct {
	ID          string `json:"id"`
	FileName    string `json:"fileName"`
	Description string `json:"description"`
	Base64Value string `json:"base64Value"` // and URL-encoded on top
}

const (
	maxV1Documents    = 10      // the limit itself is documented, its value is not
	maxV1DocumentSize = 3 << 20 // documented
)

// submitDocument takes the documents of an order that waits for them.
func (s version1) submitDocument(c *call) (reply, *problem) {
	var req wireV1SubmitDocument
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.DocumentDetails
	if problem := checkV1Email(d.RequestorEmail); problem != nil {
		return reply{}, problem
	}
	o, problem := s.findOrder(c, d.OrderNumber)
	if problem != nil {
		return reply{}, problem
	}
	n := len(d.DocumentsAttached)
	if problem := firstUnmet(
		demand{n > 0, wordsOnly, "documentsAttached cannot be empty."},
		demand{d.NumberOfDocuments == strconv.Itoa(n), wordsOnly, "Invalid Number of Documents."},
		demand{n <= maxV1Documents, "EMS-999", "Number of documents exceeds the limit."},
	); problem != nil {
		return reply{}, problem
	}
	for _, doc := range d.DocumentsAttached {
		if problem := doc.check(); problem != nil {
			return reply{}, problem
		}
	}
	if err := s.takeDocuments(o, n, c.now); err != nil {
		return reply{}, v1Failure("EMS-956", "Invalid Request for this API: "+err.Error())
	}
	return s.success(c, nil)
}

// check looks at one document. Documented: a PDF file of 3 MB at most, with a
// description of 25 characters at most, in base64 that is URL-encoded.
func (d wireV1Document) check() *problem {
	text, unescapeErr := url.QueryUnescape(d.Base64Value)
	content, base64Err := base64.StdEncoding.DecodeString(text)
	return firstUnmet(
		demand{filled(d.ID), wordsOnly, "Document ID cannot be empty."},
		demand{
			strings.HasSuffix(strings.ToLower(d.FileName), ".pdf"), wordsOnly,
			"Only PDF files are allowed.",
		},
		demand{filled(d.Description), wordsOnly, "Document description cannot be empty."},
		demand{
			len([]rune(d.Description)) <= 25, wordsOnly,
			"Document description cannot exceed 25 characters.",
		},
		demand{filled(d.Base64Value), wordsOnly, "base64Value cannot be empty."},
		demand{
			!strings.ContainsAny(d.Base64Value, "+/="), wordsOnly,
			"base64Value is not URL-encoded.",
		},
		demand{unescapeErr == nil && base64Err == nil, wordsOnly, "Invalid base64Value."},
		demand{
			bytes.HasPrefix(content, []byte("%PDF")), wordsOnly, "The document is not a PDF file.",
		},
		demand{len(content) <= maxV1DocumentSize, wordsOnly, "File size cannot exceed 3 MB."},
	)
}
