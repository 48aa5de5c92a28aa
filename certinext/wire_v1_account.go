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

const categorySMIME = "2"

type wireOrganizationKey struct {
	OrganizationNumber string `json:"organizationNumber"`
	GroupNumber        string `json:"groupNumber"`
}

type wireProductKey struct {
	GroupNumber string `json:"groupNumber"`
	CategoryID  string `json:"categoryID,omitempty"`
	ProductCode string `json:"productCode,omitempty"`
}

// member returns the value of one member of an answer, which must be an object.
func member(body []byte, name string) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := unmarshalObject(body, &members); err != nil {
		return nil, err
	}
	if members[name] == nil {
		return nil, errWrongShape
	}
	return members[name], nil
}

func decodeV1Groups(body []byte) ([]Group, error) {
	account, err := member(body, "accountDetails")
	if err != nil {
		return nil, err
	}
	return decodeGroups(account)
}

// decodeV1Organization reads the answer to GetOrganizationDetails. The organization's consent token, which an administrator
// is shown there, is not read.
func decodeV1Organization(body []byte) (*Organization, error) {
	detail, err := member(body, "organizationDetails")
	if err != nil {
		return nil, err
	}
	return decodeOrganization(detail)
}

// decodeV1CustomFields reads the answer to GetFieldDetails, of which no source shows a sample: the lists of version 2, under
// the name of the request's block or bare.
func decodeV1CustomFields(body []byte) ([]CustomFieldSpec, error) {
	for _, wrapper := range []string{"fieldDetails", "productDetails"} {
		fields, err := member(body, wrapper)
		switch {
		case errors.Is(err, errWrongShape):
			continue
		case err != nil:
			return nil, err
		case bytes.HasPrefix(fields, []byte("[")):
			fields = slices.Concat([]byte(`{"customFields":`), fields, []byte("}"))
		}
		return decodeCustomFields(fields)
	}
	return decodeCustomFields(body)
}

type wireV1Domain struct {
	Name               text   `json:"domainName"`
	OrganizationName   text   `json:"organizationName"`
	OrganizationNumber text   `json:"organizationNumber"`
	DCVMethod          text   `json:"dcvMethod"`
	DCVStatus          text   `json:"dcvStatus"`
	Status             text   `json:"status"`
	CreatedAt          moment `json:"createdDate"`
	ExpiresAt          moment `json:"expiryDate"`
}

// decodeV1Domains reads the answer to GetDomainDetails, sorted by name: a list, or one domain, as the documentation shows it.
func decodeV1Domains(body []byte) ([]Domain, error) {
	raw, err := member(body, "domainDetails")
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(raw, []byte("{")) {
		raw = slices.Concat([]byte("["), raw, []byte("]"))
	}
	if isBlank(raw) {
		return []Domain{}, nil
	}
	rows, err := decodeRows[wireV1Domain](raw)
	if err != nil {
		return nil, err
	}
	domains := make([]Domain, 0, len(rows))
	for _, w := range rows {
		domains = append(domains, Domain{
			Name: hostName(w.Name), OrganizationID: words(w.OrganizationNumber), OrganizationName: words(w.OrganizationName),
			Status: named(w.Status, domainStatuses), DCVStatus: named(w.DCVStatus, dcvStates),
			DCVMethod: methodName(w.DCVMethod), CreatedAt: w.CreatedAt.Time, ValidTill: w.ExpiresAt.Time,
		})
	}
	slices.SortFunc(domains, func(a, b Domain) int { return strings.Compare(a.Name, b.Name) })
	return domains, nil
}

// isBlank reports whether a member is there and empty.
func isBlank(raw json.RawMessage) bool {
	return bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte(`""`))
}
