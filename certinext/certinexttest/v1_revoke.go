// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strconv"
	"strings"
)

type wireV1Revoke struct {
	RevocationDetails struct {
		OrderNumber    string `json:"orderNumber"`
		RequestorEmail string `json:"requestorEmail"`
		RevokeReasonID string `json:"revokeReasonId"`
		RevokeRemarks  string `json:"revokeRemarks"`
	} `json:"revocationDetails"`
}

// revokeOrder revokes what an order issued, for one of the five reasons that
// version 1 knows.
func (s version1) revokeOrder(c *call) (reply, *problem) {
	var req wireV1Revoke
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.RevocationDetails
	if problem := checkV1Email(d.RequestorEmail); problem != nil {
		return reply{}, problem
	}
	o, problem := s.findOrder(c, d.OrderNumber)
	if problem != nil {
		return reply{}, problem
	}
	reason, code := s.reason(d.RevokeReasonID)
	if problem := firstUnmet(
		demand{d.RevokeReasonID != "", "EMS-969", "Revoke Reason ID cannot be empty."},
		demand{reason != "", "EMS-970", "Invalid Revoke Reason ID"},
		demand{filled(d.RevokeRemarks), "EMS-971", "Revoke Remarks cannot be empty."},
		demand{!strings.Contains(d.RevokeRemarks, ";"), "EMS-1213", "Invalid Revoke Remarks"},
		demand{o.revoked == nil, "EMS-973", "Certificate already Revoked."},
		demand{o.certificate() != nil, "EMS-946", "Certificate Request still being processed."},
		demand{s.status(o, c.now) != statusExpired, "EMS-982", "Certificate is expired."},
	); problem != nil {
		return reply{}, problem
	}
	s.revoke(o, &ending{reason: reason, note: d.RevokeRemarks, at: c.now}, code)
	return s.success(c, nil)
}

// reason is the name that the dialect's version 2 has for a reason of version
// 1, and the reason's code, which is its number in version 1.
func (s version1) reason(id string) (name string, code int) {
	if !oneOf(id, "1", "3", "4", "5", "9") {
		return "", 0
	}
	for name, r := range s.reasons() {
		if strconv.Itoa(r.code) == id {
			return name, r.code
		}
	}
	return "", 0
}

// v1ReasonID is the number of a reason that version 2 has named.
func v1ReasonID(name string) string {
	for _, reasons := range revokeReasons {
		if r, ok := reasons[name]; ok {
			return strconv.Itoa(r.code)
		}
	}
	return ""
}
