// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

// wireRequestMeta is what proves whose call this is. With a bearer token, authKey is sent empty.
type wireRequestMeta struct {
	Version       string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
}

// wireOrderKey names an order. The documentation's own samples spell this block in several ways; this is what its tables say.
type wireOrderKey struct {
	Requestor   *string `json:"requestorEmail,omitempty"`
	OrderNumber string  `json:"orderNumber"`
	CSR         string  `json:"csr,omitempty"`
}

type wireRejection struct {
	OrderNumber   string `json:"orderNumber,omitempty"`
	RequestNumber string `json:"requestNumber,omitempty"`
	Remarks       string `json:"rejectRemarks"`
}

type wireV1Agreement struct {
	Accept      string `json:"acceptAgreement"`
	SignerName  string `json:"signerName"`
	SignerPlace string `json:"signerPlace"`
	SignerIP    string `json:"signerIP"` // has to be a public address (observed: EMS-1091 for a loopback one)
}

func newWireV1Agreement(a *Agreement) *wireV1Agreement {
	if a == nil {
		return nil
	}
	return &wireV1Agreement{
		Accept: digit(a.Accepted), SignerName: a.SignerName, SignerPlace: a.SignerPlace, SignerIP: a.SignerIP,
	}
}

// digit writes a boolean.
func digit(on bool) string {
	if on {
		return "1"
	}
	return "0"
}

type wireV1Acceptance struct {
	Requestor   string `json:"requestorEmail"`
	OrderNumber string `json:"orderNumber"`
	wireV1Agreement
}

type wireV1Revocation struct {
	OrderNumber string `json:"orderNumber"`
	Requestor   string `json:"requestorEmail"`
	ReasonID    string `json:"revokeReasonId"`
	Remarks     string `json:"revokeRemarks"`
}

type wireDCV struct {
	Requestor   string `json:"requestorEmail"`
	OrderNumber string `json:"orderNumber"`
	DomainName  string `json:"domainName"`
	Method      string `json:"dcvMethod"`
	Email       string `json:"dcvEmail,omitempty"` // where the mail goes to, with method 3
}

// decodeV1Bundle reads a download. Its strings are empty while there is no certificate; the serial number beside them, whose
// name is misspelt on the wire, is not read.
func decodeV1Bundle(body []byte) (*Bundle, error) {
	var w struct {
		Details object[struct {
			Root      text `json:"rootCertificate"`
			CA        text `json:"caCertificate"`
			SubCA     text `json:"subCACertificate"`
			EndEntity text `json:"endEntityCertificate"`
		}] `json:"certificateDetails"`
	}
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	d := w.Details.value
	return wireBundle{CertificatePEM: d.EndEntity, ChainPEM: list[text]{d.SubCA, d.CA, d.Root}}.bundle()
}
