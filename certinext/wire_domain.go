// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

// wireAddition registers a domain. CERTInext is always to look at the CAA records.
type wireAddition struct {
	DomainName     string `json:"domainName"`
	OrganizationID string `json:"organizationId"`
	DCVMethod      string `json:"dcvMethod"`
	SkipCAA        bool   `json:"skipCAA"`
	Mode           string `json:"mode,omitempty"`
}

type wireDomainMethod struct {
	DCVMethod string `json:"dcvMethod"`
}

type wireDomain struct {
	DomainID         text   `json:"domainId"`
	DomainName       text   `json:"domainName"`
	OrganizationID   text   `json:"organizationId"`
	OrganizationName text   `json:"organizationName"`
	Status           text   `json:"status"`
	DomainStatus     text   `json:"domainStatus"`
	DCVStatus        text   `json:"dcvStatus"`
	DCVMethod        text   `json:"dcvMethod"`
	CreatedAt        moment `json:"createdAt"`
	VerifiedAt       moment `json:"verifiedAt"`
	ValidTill        moment `json:"validTill"`

	DCV object[struct {
		Method text `json:"method"`
	}] `json:"dcv"`
}

func (w wireDomain) domain() Domain {
	return Domain{
		ID: safeID(w.DomainID), Name: hostName(w.DomainName),
		OrganizationID: words(w.OrganizationID), OrganizationName: words(w.OrganizationName),
		Status: words(text(first(w.Status, w.DomainStatus))), DCVStatus: words(w.DCVStatus),
		DCVMethod: words(text(first(w.DCVMethod, w.DCV.value.Method))),
		CreatedAt: w.CreatedAt.Time, VerifiedAt: w.VerifiedAt.Time, ValidTill: w.ValidTill.Time,
	}
}

// decodeDomain reads the domain that was asked for by its id.
func decodeDomain(body []byte, id string) (*Domain, error) {
	var w wireDomain
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	d := w.domain()
	switch {
	case d.Name == "":
		return nil, errNoDomain
	case first(w.DomainID) == "":
		d.ID = id
	case d.ID != id:
		return nil, errOtherDomain
	}
	return &d, nil
}

// decodeAddition reads the domain that was added and, if it is there, its challenge.
func decodeAddition(body []byte, r DomainRequest) (*Domain, *Challenge, error) {
	var w wireDomain
	if err := unmarshalObject(body, &w); err != nil {
		return nil, nil, err
	}
	d := w.domain()
	switch {
	case d.ID == "":
		return nil, nil, errNoDomain
	case d.Name == "":
		d.Name = r.Name
	case bareDomain(d.Name) != bareDomain(r.Name):
		return nil, nil, errOtherDomain
	}
	if d.OrganizationID == "" {
		d.OrganizationID = r.OrganizationID
	}
	ch, err := decodeChallenge(body, r.Name, r.Method)
	switch {
	case err == nil:
		return &d, ch, nil
	case !r.Renew && equalFold(d.DCVStatus, "VERIFIED"): // and with a renewal, it may be the old validation that is meant
		return &d, &Challenge{Domain: r.Name, AlreadyVerified: true}, nil
	}
	return &d, nil, nil
}

// wireAttempt is one verification of a domain.
type wireAttempt struct {
	Method       text                    `json:"method"`
	FailureClass text                    `json:"failureClass"`
	Diagnostics  object[wireDiagnostics] `json:"diagnostics"`
}

func decodeAttempt(body []byte) (*Diagnostics, error) {
	var w wireAttempt
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	if !w.Diagnostics.set && first(w.Method, w.FailureClass) == "" {
		return nil, errWrongShape
	}
	known := w.Diagnostics.value
	known.Method, known.FailureClass = text(first(known.Method, w.Method)), text(first(known.FailureClass, w.FailureClass))
	return known.diagnostics(nil), nil
}

func decodeDomains(body []byte) (page[Domain], error) {
	w, err := decodePage[wireDomain](body, "domains")
	p := page[Domain]{number: w.number, total: w.total, pages: w.pages}
	for _, row := range w.rows {
		p.rows = append(p.rows, row.domain())
	}
	return p, err
}
