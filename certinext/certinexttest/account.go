// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"slices"
	"time"
)

// An Organization belongs to the account; OV and EV orders refer to it.
type Organization struct {
	// Number names it in calls; Name is the subject's organization in its certificates.
	Number string `json:"number,omitempty"`
	Name   string `json:"name,omitempty"`
	// Street to CountryCode are its address, and partly the subject's in its certificates.
	// CountryCode is two letters of ISO 3166-1.
	Street      string `json:"street,omitempty"`
	Locality    string `json:"locality,omitempty"`
	State       string `json:"state,omitempty"`
	PostalCode  string `json:"postalCode,omitempty"`
	CountryCode string `json:"countryCode,omitempty"`
	// RegistrationNumber is the organization's in the register of its country, and BusinessCategory
	// what it is; both stand in EV certificates. "" means the Number, and "Private Organization".
	RegistrationNumber string `json:"registrationNumber,omitempty"`
	BusinessCategory   string `json:"businessCategory,omitempty"`
	// ValidationFor is "1" for OV, "2" for EV and OV; "" means "2".
	ValidationFor string `json:"validationFor,omitempty"`
	// Vetted organizations need no further verification.
	Vetted bool `json:"vetted,omitempty"`
	// ConsentToken lets an order skip the approver; "" means there is none.
	ConsentToken string `json:"consentToken,omitempty"`
}

// organization is an Organization and what happened to it.
type organization struct {
	Organization
	vettedAt time.Time
}

// A Group is a billing group of the account.
type Group struct {
	// Number names it in calls; Name is for people.
	Number string `json:"number,omitempty"`
	Name   string `json:"name,omitempty"`
	// Default is set for the group of orders that name none.
	Default bool `json:"default,omitempty"`
	// Balance is what the group holds at the first request, of its own; nil means that it draws on
	// the account's, see [Billing].
	Balance *Amount `json:"balance,omitempty"`
	// Products are the codes of what the group may order through version 1;
	// nil means all of the catalog.
	Products []string `json:"products,omitempty"`
}

func newOrganizations(given []Organization, now time.Time) []*organization {
	if given == nil {
		given = []Organization{
			{
				Number: DefaultOrganization, Name: "Example Corporation",
				Street: "1 Example Street", Locality: "New York", State: "New York",
				PostalCode: "10001", CountryCode: "US", Vetted: true,
				ConsentToken: DefaultConsentToken,
			},
			{
				Number: UnvettedOrganization, Name: "Example Newcomer", Street: "2 Example Street",
				Locality: "New York", State: "New York", PostalCode: "10001", CountryCode: "US",
			},
		}
	}
	list := make([]*organization, 0, len(given))
	for _, g := range given {
		o := &organization{Organization: g}
		o.ValidationFor = orDefault(o.ValidationFor, "2")
		o.RegistrationNumber = orDefault(o.RegistrationNumber, o.Number)
		o.BusinessCategory = orDefault(o.BusinessCategory, "Private Organization")
		if g.Vetted {
			o.vettedAt = now
		}
		list = append(list, o)
	}
	return list
}

func (s *Server) organization(number string) *organization {
	i := slices.IndexFunc(s.owners, func(o *organization) bool { return o.Number == number })
	if i < 0 {
		return nil
	}
	return s.owners[i]
}

// firstOrganization owns the domains that are registered without one.
func (s *Server) firstOrganization() *organization {
	if len(s.owners) == 0 {
		return nil
	}
	return s.owners[0]
}

func (s *Server) groups() []Group {
	if s.Groups != nil {
		return s.Groups
	}
	return []Group{{Number: DefaultGroup, Name: "Default Group", Default: true}}
}

// checkGroup refuses a group the account does not have; "" is the default.
func (s *Server) checkGroup(number string) *problem {
	known := func(g Group) bool { return g.Number == number }
	if number != "" && !slices.ContainsFunc(s.groups(), known) {
		return rule("", "Invalid Group Number").inV1("EMS-1137").becauseOf("EMS-1137")
	}
	return nil
}

// groupHas reports whether a product is mapped to a group; "" is the default
// group.
func (s *Server) groupHas(number, code string) bool {
	number = orDefault(number, s.defaultGroup())
	for _, g := range s.groups() {
		if g.Number == number {
			return g.Products == nil || slices.Contains(g.Products, code)
		}
	}
	return true
}

func (s version2) whoAmI(c *call) (reply, *problem) {
	me := map[string]any{"accountNumber": s.accountNumber(), "authType": "oauth2"}
	if !c.live() {
		me = map[string]any{
			"appCode": s.accountNumber(), "accountId": "1", "accountUserId": "1",
			"authType": "oauth2",
		}
	}
	return respond(http.StatusOK, me)
}

type wireGroup struct {
	GroupNumber         string                  `json:"groupNumber"`
	GroupName           string                  `json:"groupName"`
	IsDefaultGroup      string                  `json:"isDefaultGroup"`
	Finance             string                  `json:"finance"` // 2 has a balance of its own
	AccountBalance      string                  `json:"accountBalance"`
	GroupBalance        string                  `json:"groupBalance"`
	OrganizationDetails []wireGroupOrganization `json:"organizationDetails"`
}

type wireGroupOrganization struct {
	OrganizationNumber string `json:"organizationNumber"`
	OrganizationName   string `json:"organizationName"`
	ValidationFor      string `json:"validationFor"`
}

func (s version2) listGroups(*call) (reply, *problem) {
	return respond(http.StatusOK, map[string]any{"groups": s.wireGroups("")})
}

// wireGroups are the groups of the account, or the one with a number.
func (s *Server) wireGroups(number string) []wireGroup {
	organizations := []wireGroupOrganization{}
	for _, o := range s.owners {
		organizations = append(organizations, wireGroupOrganization{
			o.Number, o.Name, o.ValidationFor,
		})
	}
	list := []wireGroup{}
	for _, g := range s.groups() {
		if number != "" && number != g.Number {
			continue
		}
		w := wireGroup{
			GroupNumber: g.Number, GroupName: g.Name, IsDefaultGroup: oneOrZero(g.Default),
			Finance: "1", AccountBalance: s.cashier().held(s.cashier().account()),
			OrganizationDetails: organizations,
		}
		if purse := s.cashier().purse(g.Number); purse != accountPurse {
			w.Finance, w.GroupBalance = "2", s.cashier().held(purse)
		}
		list = append(list, w)
	}
	return list
}

type wireOrganization struct {
	OrganizationNumber      string `json:"organizationNumber"`
	OrganizationName        string `json:"organizationName"`
	OrganizationLocality    string `json:"organizationLocality"`
	OrganizationCountryCode string `json:"organizationCountryCode"`
	OrganizationPostalCode  string `json:"organizationPostalCode"`
	OrganizationStatusID    string `json:"organizationStatusId"`
	IsPreVettingOrg         string `json:"isPreVettingOrg"`
}

func (s version2) listOrganizations(c *call) (reply, *problem) {
	if problem := s.checkGroup(c.arg("groupNumber")); problem != nil {
		return reply{}, problem
	}
	list := []wireOrganization{}
	for _, o := range s.owners {
		list = append(list, wireOrganization{
			OrganizationNumber: o.Number, OrganizationName: o.Name,
			OrganizationLocality: o.Locality, OrganizationCountryCode: o.CountryCode,
			OrganizationPostalCode: o.PostalCode, OrganizationStatusID: "1",
			IsPreVettingOrg: oneOrZero(!o.vettedAt.IsZero()),
		})
	}
	return respond(http.StatusOK, map[string]any{"organizations": list})
}

// getOrganization answers the flat object seen live. A member without a value
// is "", the domain list included.
func (s version2) getOrganization(c *call) (reply, *problem) {
	o := s.organization(c.param("id"))
	if o == nil {
		return reply{}, notFound("Organization not found")
	}
	return respond(http.StatusOK, s.wireOrganizationDetail(o, c.now))
}

func (s version2) wireOrganizationDetail(o *organization, now time.Time) map[string]any {
	vetted := !o.vettedAt.IsZero()
	agreement := map[string]any{"signed": vetted}
	if vetted {
		agreement = map[string]any{
			"signed": true, "signerName": "Platform Team", "signedPlace": o.Locality,
			"signedDate": o.vettedAt.Format("2006-01-02 15:04:05"),
		}
	}
	return map[string]any{
		"organizationNumber": o.Number, "organizationName": o.Name,
		"organizationStreetAddress1": o.Street, "organizationStreetAddress2": "",
		"organizationLocality": o.Locality, "organizationStateCode": "",
		"organizationStateName": o.State, "organizationCountryCode": o.CountryCode,
		"organizationPostalCode": o.PostalCode, "organizationStatusId": "1",
		"businessCategoryId": "1", "validationFor": o.ValidationFor,
		"validationStatusId": map[bool]string{true: "1", false: "0"}[vetted],
		"domains":            s.organizationDomains(o, now),
		"orgRepresentatives": []map[string]string{{
			"name": "Platform Team", "emailId": "platform@example.com", "isdCode": "1",
			"mobileNumber": "4155551234", "designation": "PKI Manager",
			"representativeNumber": "5000001",
		}},
		"subscriberAgreement": agreement,
	}
}

func (s version2) organizationDomains(o *organization, now time.Time) any {
	var names []string
	for _, d := range s.zones {
		if d.organization == o && d.validAt(now) {
			names = append(names, d.name)
		}
	}
	if names == nil {
		return ""
	}
	return names
}
