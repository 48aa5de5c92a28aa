// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

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
			OwnBalance: w.Finance == "2", AccountBalance: words(w.AccountBalance),
			GroupBalance: words(w.GroupBalance),
		}
		for _, o := range w.Organizations {
			g.Organizations = append(g.Organizations, GroupOrganization{
				Number: words(o.value.Number), Name: words(o.value.Name),
				ValidationFor: words(o.value.ValidationFor),
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
		Number: words(w.Number), Name: words(w.Name), Locality: words(w.Locality),
		CountryCode: words(w.CountryCode),
		PostalCode:  words(w.PostalCode), StatusID: words(w.StatusID),
		PreVetted:      w.IsPreVettingOrg.pointer(),
		StreetAddress1: words(w.StreetAddress1), StreetAddress2: words(w.StreetAddress2),
		StateCode: words(w.StateCode),
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
			Number: words(v.Number), Name: words(v.Name), Email: words(v.EmailID),
			Designation: words(v.Designation),
			Phone:       e164(words(v.ISDCode), words(v.MobileNumber)),
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

// wireCategory is a part of the catalog with its products, or, in the published collection, a
// product by itself.
type wireCategory struct {
	CategoryID   text                      `json:"categoryID"`
	CategoryName text                      `json:"categoryName"`
	Currency     text                      `json:"currencyType"`
	Products     list[object[wireProduct]] `json:"products"`
	wireProduct
}

type wireProduct struct {
	ProductCode       text        `json:"productCode"`
	ProductName       text        `json:"productName"`
	ProductTypeID     text        `json:"productTypeID"`
	ProductType       text        `json:"productType"` // the family by name (documented)
	SubscriptionPrice wirePricing `json:"subscriptionPrice"`
	Price             wirePricing `json:"price"`
}

// wirePricing is {"1 Year":{"cost":"0.0"}}, or the amounts without the inner object, or one amount.
type wirePricing map[string]string

// UnmarshalJSON reads amounts in any of the three shapes; an amount that is missing is left out.
func (p *wirePricing) UnmarshalJSON(b []byte) error {
	*p = nil
	var terms map[string]json.RawMessage
	if json.Unmarshal(b, &terms) != nil {
		terms = map[string]json.RawMessage{"": b}
	}
	for term, raw := range terms {
		var amount text
		var nested object[struct {
			Cost text `json:"cost"`
		}]
		if bytes.HasPrefix(raw, []byte("{")) {
			_ = json.Unmarshal(raw, &nested)
			amount = nested.value.Cost
		} else {
			_ = json.Unmarshal(raw, &amount)
		}
		if s := words(amount); s != "" {
			if *p == nil {
				*p = wirePricing{}
			}
			(*p)[words(text(term))] = s
		}
	}
	return nil
}

var categoryFamilies = map[text]Family{
	"1": FamilySignature, "2": FamilySMIME, "3": FamilySSL, "8": FamilyPrivatePKI,
}

// Documented; 15, 18, 20, 21 and 22 were observed too.
var typeVariants = map[text]string{
	"10": "natural-person", "11": "legal-person", "12": "legal-entity",
	"13": "dv", "14": "dv-wildcard", "15": "dv-ucc", "21": "dv-wildcard-ucc",
	"16": "ov", "17": "ov-wildcard", "18": "ov-ucc", "22": "ov-wildcard-ucc",
	"19": "ev", "20": "ev-ucc",
	"39": "private-pki", "41": "smime",
}

func decodeProducts(body []byte) ([]Product, error) {
	categories, err := decodeRows[wireCategory](body, "products", "categories", "productDetails")
	if err != nil {
		return nil, err
	}
	products := []Product{}
	for _, w := range categories {
		if w.ProductCode != "" {
			products = append(products, w.product(w.wireProduct))
		}
		for _, p := range w.Products {
			products = append(products, w.product(p.value))
		}
	}
	return slices.DeleteFunc(products, func(p Product) bool { return p.Code == "" }), nil
}

func (w wireCategory) product(p wireProduct) Product {
	family := categoryFamilies[w.CategoryID]
	if named := Family(strings.ToLower(string(p.ProductType))); family == "" {
		if _, err := named.root(); err == nil {
			family = named
		}
	}
	prices := p.SubscriptionPrice
	if len(prices) == 0 {
		prices = p.Price
	}
	return Product{
		Code: words(p.ProductCode), Name: words(p.ProductName), TypeID: words(p.ProductTypeID),
		Category: Category{ID: words(w.CategoryID), Name: words(w.CategoryName)},
		Family:   family, Variant: typeVariants[p.ProductTypeID], Currency: words(w.Currency),
		Prices: prices,
	}
}

type wireCustomFieldSpec struct {
	Name        text       `json:"name"`
	FieldID     text       `json:"fieldId"`
	Type        text       `json:"type"`
	MaxLength   count      `json:"maxlength"`
	IsMandatory flag       `json:"isMandatory"`
	Values      list[text] `json:"values"`
}

// decodeCustomFields reads {"customFields":[...]}, whose elements are fields, or objects that hold
// lists of fields under the name of a section (documented).
func decodeCustomFields(body []byte) ([]CustomFieldSpec, error) {
	elements, err := decodeRows[map[string]json.RawMessage](body, "customFields")
	if errors.Is(err, errWrongShape) {
		var sections map[string]json.RawMessage // without the wrapper
		err = unmarshalObject(body, &sections)
		elements = append(elements, sections)
	}
	if err != nil {
		return nil, err
	}
	specs := []CustomFieldSpec{}
	for _, e := range elements {
		if _, ok := e["fieldId"]; ok {
			specs = appendSpec(specs, "", e)
			continue
		}
		sections := make([]string, 0, len(e))
		for name := range e {
			sections = append(sections, name)
		}
		slices.Sort(sections)
		for _, section := range sections {
			var fields list[map[string]json.RawMessage]
			_ = json.Unmarshal(e[section], &fields)
			for _, f := range fields {
				specs = appendSpec(specs, section, f)
			}
		}
	}
	return specs, nil
}

func appendSpec(
	specs []CustomFieldSpec, section string, field map[string]json.RawMessage,
) []CustomFieldSpec {
	raw, err := json.Marshal(field)
	if err != nil {
		return specs
	}
	var w object[wireCustomFieldSpec]
	if json.Unmarshal(raw, &w) != nil || w.value.FieldID == "" {
		return specs
	}
	return append(specs, CustomFieldSpec{
		ID: words(w.value.FieldID), Name: words(w.value.Name), Section: words(text(section)),
		Type: words(w.value.Type), MaxLength: int(w.value.MaxLength),
		Mandatory: w.value.IsMandatory.on,
		Values:    texts(w.value.Values),
	})
}

type wireReportRow struct {
	OrderNumber             text          `json:"orderNumber"`
	RequestNumber           text          `json:"requestNumber"`
	ProductCode             text          `json:"productCode"`
	OrderStatus             text          `json:"orderStatus"`
	OrderStatusID           text          `json:"orderStatusId"` // version 1
	CertificateStatus       text          `json:"certificateStatus"`
	CertificateStatusID     text          `json:"certificateStatusId"` // version 1
	CertificateSerialNumber text          `json:"certificateSerialNumber"`
	CertificateExpiryDate   moment        `json:"certificateExpiryDate"`
	IssuerCA                text          `json:"issuerCA"`
	DomainName              text          `json:"domainName"`
	OrganizationName        text          `json:"organizationName"`
	CountryName             text          `json:"countryName"`
	GroupNumber             text          `json:"groupNumber"`
	Tags                    list[wireTag] `json:"tags"`
	Remarks                 text          `json:"remarks"`
	Originator              text          `json:"originator"`
	OrderDate               moment        `json:"orderDate"`
}

// wireTag is "name:value", or an object of the two.
type wireTag string

// UnmarshalJSON joins the members of an object as the text form does.
func (t *wireTag) UnmarshalJSON(b []byte) error {
	var o object[struct {
		Name  text `json:"name"`
		Value text `json:"value"`
	}]
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	if o.set {
		*t = wireTag(o.value.Name + ":" + o.value.Value)
		return nil
	}
	return (*text)(t).UnmarshalJSON(b)
}

func (w wireReportRow) row() ReportRow {
	r := ReportRow{
		OrderID: safeID(w.OrderNumber), RequestID: safeID(w.RequestNumber),
		ProductCode: words(w.ProductCode),
		OrderStatus: stateWords(w.OrderStatus, w.OrderStatusID, v1OrderStates),
		CertificateStatus: stateWords(
			w.CertificateStatus, w.CertificateStatusID, v1CertificateStates,
		),
		SerialNumber: words(w.CertificateSerialNumber),
		ExpiresAt:    w.CertificateExpiryDate.Time,
		IssuerCA:     words(w.IssuerCA), Domain: hostName(w.DomainName),
		Organization: words(w.OrganizationName),
		Country:      words(w.CountryName), GroupNumber: words(w.GroupNumber),
		Remarks:    words(w.Remarks),
		Originator: words(w.Originator), OrderedAt: w.OrderDate.Time,
	}
	for _, t := range w.Tags {
		if s := words(text(t)); s != "" {
			r.Tags = append(r.Tags, s)
		}
	}
	return r
}

// wireLedgerRow keeps numbers as they are written.
type wireLedgerRow map[string]any

// UnmarshalJSON decodes numbers as json.Number.
func (w *wireLedgerRow) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(w))
}
