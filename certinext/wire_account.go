// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import "strings"

type wireMe struct {
	AccountNumber text `json:"accountNumber"` // live
	AppCode       text `json:"appCode"`       // documented
	AccountID     text `json:"accountId"`
	AccountUserID text `json:"accountUserId"`
	AuthType      text `json:"authType"`
}

func decodeAccount(body []byte) (*Account, error) {
	var w wireMe
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	return &Account{
		Number: words(text(first(w.AccountNumber, w.AppCode))), AuthType: words(w.AuthType),
		ID: words(w.AccountID), UserID: words(w.AccountUserID),
	}, nil
}

type wireGroup struct {
	GroupNumber    text `json:"groupNumber"`
	GroupName      text `json:"groupName"`
	IsDefaultGroup flag `json:"isDefaultGroup"`
	Finance        text `json:"finance"` // 1 the account's balance, 2 the group's
	AccountBalance text `json:"accountBalance"`
	GroupBalance   text `json:"groupBalance"`
	Organizations  list[object[struct {
		Number        text `json:"organizationNumber"`
		Name          text `json:"organizationName"`
		ValidationFor text `json:"validationFor"`
	}]] `json:"organizationDetails"`
}

func decodeGroups(body []byte) ([]Group, error) {
	rows, err := decodeRows[wireGroup](body, "groups")
	if err != nil {
		return nil, err
	}
	groups := make([]Group, 0, len(rows))
	for _, w := range rows {
		g := Group{
			Number: words(w.GroupNumber), Name: words(w.GroupName), Default: w.IsDefaultGroup.on,
			OwnBalance: w.Finance == "2", AccountBalance: words(w.AccountBalance), GroupBalance: words(w.GroupBalance),
		}
		for _, o := range w.Organizations {
			g.Organizations = append(g.Organizations, GroupOrganization{
				Number: words(o.value.Number), Name: words(o.value.Name), ValidationFor: words(o.value.ValidationFor),
			})
		}
		groups = append(groups, g)
	}
	return groups, nil
}

type wireOrganizationDetail struct {
	Number             text       `json:"organizationNumber"`
	Name               text       `json:"organizationName"`
	StreetAddress1     text       `json:"organizationStreetAddress1"`
	StreetAddress2     text       `json:"organizationStreetAddress2"`
	Locality           text       `json:"organizationLocality"`
	StateCode          text       `json:"organizationStateCode"`
	StateName          text       `json:"organizationStateName"`
	CountryCode        text       `json:"organizationCountryCode"`
	PostalCode         text       `json:"organizationPostalCode"`
	StatusID           text       `json:"organizationStatusId"`
	IsPreVettingOrg    flag       `json:"isPreVettingOrg"`
	BusinessCategoryID text       `json:"businessCategoryId"`
	ValidationFor      text       `json:"validationFor"`
	ValidationStatusID text       `json:"validationStatusId"`
	Domains            list[text] `json:"domains"` // "" when empty (observed 2026)
	Representatives    list[object[struct {
		Name         text `json:"name"`
		EmailID      text `json:"emailId"`
		ISDCode      text `json:"isdCode"`
		MobileNumber text `json:"mobileNumber"`
		Designation  text `json:"designation"`
		Number       text `json:"representativeNumber"`
	}]] `json:"orgRepresentatives"`
	Agreement object[struct {
		Signed     flag   `json:"signed"`
		Status     text   `json:"status"` // version 1: 0 pending, 1 completed, 2 rejected
		SignerName text   `json:"signerName"`
		SignedDate moment `json:"signedDate"`
	}] `json:"subscriberAgreement"`
}

func decodeOrganizations(body []byte) ([]Organization, error) {
	rows, err := decodeRows[wireOrganizationDetail](body, "organizations")
	if err != nil {
		return nil, err
	}
	out := make([]Organization, 0, len(rows))
	for _, w := range rows {
		out = append(out, w.organization())
	}
	return out, nil
}

func decodeOrganization(body []byte) (*Organization, error) {
	var w wireOrganizationDetail
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	o := w.organization()
	return &o, nil
}

func (w wireOrganizationDetail) organization() Organization {
	agreement := w.Agreement.value
	o := Organization{
		Number: words(w.Number), Name: words(w.Name), Locality: words(w.Locality), CountryCode: words(w.CountryCode),
		PostalCode: words(w.PostalCode), StatusID: words(w.StatusID), PreVetted: w.IsPreVettingOrg.pointer(),
		StreetAddress1: words(w.StreetAddress1), StreetAddress2: words(w.StreetAddress2), StateCode: words(w.StateCode),
		StateName: words(w.StateName), BusinessCategoryID: words(w.BusinessCategoryID),
		ValidationFor: words(w.ValidationFor), ValidationStatusID: words(w.ValidationStatusID),
		Domains: texts(w.Domains), AgreementSigned: agreement.Signed.pointer(),
		AgreementSigner: words(agreement.SignerName), AgreementSignedAt: agreement.SignedDate.Time,
	}
	if agreement.Status != "" && !agreement.Signed.set {
		signed := agreement.Status == "1"
		o.AgreementSigned = &signed
	}
	for _, r := range w.Representatives {
		v := r.value
		o.Representatives = append(o.Representatives, Representative{
			Number: words(v.Number), Name: words(v.Name), Email: words(v.EmailID), Designation: words(v.Designation),
			Phone: e164(words(v.ISDCode), words(v.MobileNumber)),
		})
	}
	return o
}

// e164 joins a country's code and a number, which version 1 keeps apart.
func e164(isd, number string) string {
	switch {
	case number == "" || strings.HasPrefix(number, "+"):
		return number
	case isd == "":
		return number
	}
	return "+" + strings.TrimPrefix(isd, "+") + number
}
