// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
)

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
		OrderID: safeID(w.OrderNumber), RequestID: safeID(w.RequestNumber), ProductCode: words(w.ProductCode),
		OrderStatus:       stateWords(w.OrderStatus, w.OrderStatusID, v1OrderStates),
		CertificateStatus: stateWords(w.CertificateStatus, w.CertificateStatusID, v1CertificateStates),
		SerialNumber:      words(w.CertificateSerialNumber), ExpiresAt: w.CertificateExpiryDate.Time,
		IssuerCA: words(w.IssuerCA), Domain: hostName(w.DomainName), Organization: words(w.OrganizationName),
		Country: words(w.CountryName), GroupNumber: words(w.GroupNumber), Remarks: words(w.Remarks),
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

func (w *wireLedgerRow) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(w))
}
