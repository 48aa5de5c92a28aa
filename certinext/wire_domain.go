// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

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
}

func (w wireDomain) domain() Domain {
	return Domain{
		ID: safeID(w.DomainID), Name: hostName(w.DomainName),
		OrganizationID: words(w.OrganizationID), OrganizationName: words(w.OrganizationName),
		Status: words(text(first(w.Status, w.DomainStatus))), DCVStatus: words(w.DCVStatus), DCVMethod: words(w.DCVMethod),
		CreatedAt: w.CreatedAt.Time, VerifiedAt: w.VerifiedAt.Time, ValidTill: w.ValidTill.Time,
	}
}

func decodeDomains(body []byte) (page[Domain], error) {
	w, err := decodePage[wireDomain](body, "domains")
	p := page[Domain]{number: w.number, total: w.total, pages: w.pages}
	for _, row := range w.rows {
		p.rows = append(p.rows, row.domain())
	}
	return p, err
}
