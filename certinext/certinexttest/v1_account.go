// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
	"strconv"
	"time"
)

// groupDetails answers who calls and for which groups.
func (s version1) groupDetails(c *call) (reply, *problem) {
	if problem := c.decodeV1(&wireNothing{}); problem != nil {
		return reply{}, problem
	}
	return s.accountGroups(c, s.wireGroups(""))
}

// groupDetailsV2 is the same for one group. Its answer was never published; that it
// is the other one's is inferred.
func (s version1) groupDetailsV2(c *call) (reply, *problem) {
	var req wireV1GroupQuery
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	if problem := s.checkGroup(req.GroupDetails.GroupNumber); problem != nil {
		return reply{}, problem
	}
	return s.accountGroups(c, s.wireGroups(req.GroupDetails.GroupNumber))
}

func (s version1) accountGroups(c *call, groups []wireGroup) (reply, *problem) {
	return s.success(c, map[string]any{"accountDetails": map[string]any{
		"fullName": "Platform Team", "email": "platform@example.com", "isdCode": "1",
		"mobileNumber": "4155551234", "designation": "Team", "roleId": "1", "groups": groups,
	}})
}

// organizationDetails answers one organization. The consent token is there because
// the caller is an administrator (documented).
func (s version1) organizationDetails(c *call) (reply, *problem) {
	var req wireV1OrganizationQuery
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.OrganizationDetails
	if d.OrganizationNumber == "" {
		return reply{}, v1Failure("EMS-1134", "Organization Number cannot be empty.")
	}
	if problem := s.checkGroup(d.GroupNumber); problem != nil {
		return reply{}, problem
	}
	o := s.organization(d.OrganizationNumber)
	if o == nil {
		return reply{}, v1Failure("EMS-1073", "Invalid Organization Number.")
	}
	w := s.v2().wireOrganizationDetail(o, c.now)
	w["prevettingToken"], w["organizationStateId"] = o.ConsentToken, ""
	w["subscriberAgreement"] = o.wireV1Agreement()
	return s.success(c, map[string]any{"organizationDetails": w})
}

// wireV1Agreement has a status where version 2 has a bool.
func (o *organization) wireV1Agreement() map[string]string {
	if o.vettedAt.IsZero() {
		return map[string]string{
			"status": "0", "signerName": "", "signedPlace": "", "signedDate": "",
		}
	}
	return map[string]string{
		"status": "1", "signerName": "Platform Team", "signedPlace": o.Locality,
		"signedDate": v1Time(o.vettedAt),
	}
}

type wireV1Domain struct {
	DomainName         string `json:"domainName"`
	OrganizationName   string `json:"organizationName"`
	OrganizationNumber string `json:"organizationNumber"`
	DCVMethod          string `json:"dcvMethod"`
	DCVStatus          string `json:"dcvStatus"` // 0 pending, 1 completed
	CreatedDate        string `json:"createdDate"`
	ExpiryDate         string `json:"expiryDate"`
	Status             string `json:"status"` // 1 active, 2 inactive, 3 expired
}

// listDomains lists the account's domains. The published block is a single
// object in a call that "allows you to get the list of domains": an array is
// inferred.
func (s version1) listDomains(c *call) (reply, *problem) {
	if problem := c.decodeV1(&wireNothing{}); problem != nil {
		return reply{}, problem
	}
	list := []wireV1Domain{}
	for _, d := range s.zones {
		list = append(list, d.wireV1(c.now))
	}
	return s.success(c, map[string]any{"domainDetails": list})
}

func (d *accountDomain) wireV1(now time.Time) wireV1Domain {
	i := slices.IndexFunc(v1Methods, func(m v1DCVMethod) bool { return m.method == d.method })
	w := wireV1Domain{
		DomainName: d.name, OrganizationName: d.organizationName(),
		OrganizationNumber: d.organizationNumber(), DCVMethod: v1Methods[i].id, DCVStatus: "0",
		CreatedDate: v1Time(d.createdAt), Status: "1",
	}
	status := d.dcvStatus(now)
	if status != "PENDING" {
		w.DCVStatus, w.ExpiryDate = "1", v1Time(d.validTill)
	}
	switch {
	case d.inactive:
		w.Status = "2"
	case status == "EXPIRED":
		w.Status = "3"
	}
	return w
}

// products lists the catalog, by category.
func (s version1) products(c *call) (reply, *problem) {
	var req wireV1ProductQuery
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	group := req.ProductDetails.GroupNumber
	if problem := s.checkGroup(group); problem != nil {
		return reply{}, problem
	}
	categories := s.wireCategories(func(p Product) (wireProduct, bool) {
		return p.wire(), s.groupHas(group, p.Code) && (group != "" || !s.CatalogNeedsGroup)
	})
	return s.success(c, map[string]any{"productDetails": categories})
}

type wireV1FieldInfo struct {
	Name        string   `json:"name"`
	FieldID     string   `json:"fieldID"`
	Type        string   `json:"type"`
	MaxLength   string   `json:"maxlength"`
	IsMandatory string   `json:"isMandatory"`
	Values      []string `json:"values"`
}

// fields lists the custom fields of a product. The answer was never
// published; its shape is that of version 2 with the spelling of version 1
// (inferred).
func (s version1) fields(c *call) (reply, *problem) {
	var req wireV1FieldQuery
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	if problem := s.checkGroup(req.ProductDetails.GroupNumber); problem != nil {
		return reply{}, problem
	}
	p, ok := s.product(req.ProductDetails.ProductCode)
	if !ok {
		return reply{}, v1Failure("EMS-1162", "Invalid Product Code.")
	}
	fields := []wireV1FieldInfo{}
	for _, f := range p.CustomFields {
		fields = append(fields, wireV1FieldInfo{
			f.Name, f.ID, "text", strconv.Itoa(f.maxLength()), oneOrZero(f.Mandatory),
			append([]string{}, f.Values...),
		})
	}
	return s.success(c, map[string]any{"fieldDetails": map[string]any{
		"certificateInformation": []any{}, "additionalInformation": fields,
	}})
}
