// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

type wireVerification struct {
	Domain string `json:"domain"`
	Method string `json:"method"`
}

type wireVerified struct {
	OverallStatus text                    `json:"overallStatus"`
	DCVStatus     text                    `json:"dcvStatus"`
	Diagnostics   object[wireDiagnostics] `json:"diagnostics"`
	Meta          object[wireMeta]        `json:"meta"`
}

// wireChallenges is an answer that holds challenges in a list, or is one challenge itself.
type wireChallenges struct {
	Domains    list[object[wireChallenge]] `json:"domains"`    // the published collection
	Challenges list[object[wireChallenge]] `json:"challenges"` // tolerated by another client
	Details    list[object[wireChallenge]] `json:"dcvDetails"` // version 1
	DCV        list[object[wireChallenge]] `json:"dcv"`        // within a domain of the account
	wireChallenge
}

// wireChallenge is the union of all shapes in which a challenge was documented or observed. The
// live one, of 2026, is token and tokenExpiryDate and nothing else.
//
// dcvMethod is not decoded: version 1 numbers DNS 1 and the newer documentation 2.
type wireChallenge struct {
	Domain     text `json:"domain"`
	DomainName text `json:"domainName"`
	Method     text `json:"method"`

	Methods object[struct {
		DNS object[struct {
			Host  text `json:"host"`
			Value text `json:"expectedValue"`
		}] `json:"dns-txt"`
		HTTP object[struct {
			Path    text `json:"path"`
			Content text `json:"expectedContent"`
		}] `json:"http-url"`
		Email object[struct {
			SendTo list[text] `json:"sendTo"`
		}] `json:"email"`
	}] `json:"methods"`

	Token           text `json:"token"`
	TXTToken        text `json:"txtToken"`
	DNSContents     text `json:"dnsContents"`
	DNSHost         text `json:"dnsHost"`
	Host            text `json:"host"`
	Value           text `json:"value"`
	FileName        text `json:"fileName"`
	FileToken       text `json:"fileToken"`
	FileContent     text `json:"fileContent"`
	FileNameContent text `json:"fileNameContent"`
	DCVFileName     text `json:"dvFileName"`
	DCVFileToken    text `json:"dvFileToken"`

	Emails    list[text] `json:"dcvEmails"`
	TokenEnds text       `json:"tokenExpiryDate"`
	TokenEnd  text       `json:"tokenExpiry"`
}

// decodeChallenge returns the challenge for one domain.
func decodeChallenge(body []byte, domain string, m DCVMethod) (*Challenge, error) {
	offers, err := decodeOffers(body)
	if err != nil {
		return nil, err
	}
	for _, w := range offers {
		if !w.isFor(domain) || !w.fits(m) {
			continue
		}
		if ch := w.challenge(domain, m); ch.answers(m) {
			return ch, nil
		}
	}
	if m != DCVMethodEmail && emptied(challengeMembers(body, domain)) {
		return nil, ErrChallengeExpired
	}
	return nil, errNoChallenge
}

// decodeDomainChallenge returns the challenge for a domain of the account, with AlreadyVerified set
// when it needs none.
func decodeDomainChallenge(body []byte, domain string, m DCVMethod) (*Challenge, error) {
	ch, err := decodeChallenge(body, domain, m)
	if errors.Is(err, errNoChallenge) && verifiedAlone(challengeMembers(body, domain)) {
		return &Challenge{Domain: domain, AlreadyVerified: true}, nil
	}
	return ch, err
}

// challengeMembers returns the members of an answer that is one challenge for the domain. Which
// members are there makes the difference: a verified domain of the account is answered with its
// method alone (observed 2026), and an expired token reads back empty.
func challengeMembers(body []byte, domain string) map[string]json.RawMessage {
	var w wireChallenge
	var all map[string]json.RawMessage
	if unmarshalObject(body, &w) != nil || unmarshalObject(body, &all) != nil || !w.isFor(domain) {
		return nil
	}
	return all
}

// emptied reports whether the answer has members for a token or its end, all of them empty.
func emptied(members map[string]json.RawMessage) bool {
	found := false
	for name, raw := range members {
		switch name {
		case "token", "txtToken", "fileToken", "fileContent", "fileNameContent", "dvFileToken",
			"dnsContents", "value":
			if !isBlank(raw) {
				return false
			}
			found = true
		case "tokenExpiryDate", "tokenExpiry":
			found = true
		}
	}
	return found
}

// verifiedAlone reports whether the answer names a method and, apart from the domain, nothing else.
func verifiedAlone(members map[string]json.RawMessage) bool {
	var method text
	for name, raw := range members {
		switch name {
		case "method":
			_ = method.UnmarshalJSON(raw) // a value that is not a text leaves it empty
		case "domain", "domainName", "domainId":
		default:
			return false
		}
	}
	return DCVMethod(strings.ToLower(string(method))).known()
}

func decodeOffers(body []byte) ([]wireChallenge, error) {
	var wrapped list[object[wireChallenge]]
	var named wireChallenge // the domain of a wrapper, for challenges that name none
	if bytes.HasPrefix(trim(body), []byte("[")) {
		if err := unmarshal(body, &wrapped); err != nil {
			return nil, err
		}
	} else {
		var w wireChallenges
		if err := unmarshalObject(body, &w); err != nil {
			return nil, err
		}
		for _, l := range []list[object[wireChallenge]]{w.Domains, w.Challenges, w.Details, w.DCV} {
			wrapped = append(wrapped, l...)
		}
		if len(wrapped) == 0 {
			return []wireChallenge{w.wireChallenge}, nil
		}
		named = w.wireChallenge
	}
	offers := make([]wireChallenge, 0, len(wrapped))
	for _, o := range wrapped {
		if first(o.value.Domain, o.value.DomainName) == "" {
			o.value.Domain, o.value.DomainName = named.Domain, named.DomainName
		}
		offers = append(offers, o.value)
	}
	return offers, nil
}

// isFor reports whether the challenge is for the domain, or names none. A wildcard and its parent
// share a record.
func (w wireChallenge) isFor(domain string) bool {
	name := first(w.Domain, w.DomainName)
	return name == "" || bareDomain(name) == bareDomain(domain)
}

// bareDomain returns the name whose control is proven for s.
func bareDomain(s string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s), "*."), "."))
}

// fits reports whether the challenge is of the method, or names none.
func (w wireChallenge) fits(m DCVMethod) bool {
	method := DCVMethod(strings.ToLower(string(w.Method)))
	return method == m || !method.known()
}

// challenge prefers the values whose names say most clearly which method they are for. Names that
// fit every method are read as those of the method that was asked for.
func (w wireChallenge) challenge(domain string, m DCVMethod) *Challenge {
	ends := first(w.TokenEnds, w.TokenEnd)
	methods := w.Methods.value
	ch := &Challenge{
		Domain:   domain,
		DNSHost:  published(first(methods.DNS.value.Host, w.DNSHost)),
		DNSValue: published(first(methods.DNS.value.Value, w.TXTToken)),
		HTTPPath: wellKnown(first(methods.HTTP.value.Path, w.DCVFileName, w.FileName)),
		HTTPContent: published(first(
			methods.HTTP.value.Content, w.DCVFileToken, w.FileToken, w.FileContent,
		)),
		EmailTo:     append(texts(methods.Email.value.SendTo), texts(w.Emails)...),
		Expires:     parseTime(ends),
		ExpiresText: words(text(ends)),
	}
	switch m {
	case DCVMethodDNS:
		if ch.DNSHost == "" {
			ch.DNSHost = published(string(w.Host))
		}
		if ch.DNSValue == "" {
			ch.DNSValue = published(first(w.Token, w.FileNameContent, w.DNSContents, w.Value))
		}
	case DCVMethodHTTP:
		if ch.HTTPContent == "" {
			ch.HTTPContent = published(first(w.FileNameContent, w.Token, w.Value))
		}
	}
	return ch
}

// answers reports whether the challenge has a value to publish, or an address to write to, for the
// method.
func (ch *Challenge) answers(m DCVMethod) bool {
	switch m {
	case DCVMethodDNS:
		return ch.DNSValue != ""
	case DCVMethodHTTP:
		return ch.HTTPContent != ""
	}
	return len(ch.EmailTo) > 0
}

// published returns s if it can be put into a DNS record or a file unchanged, else "". The CA
// compares it byte by byte, so it is not cleaned.
func published(s string) string {
	if len(s) > 1024 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return s
}

// wellKnown returns the path of a validation file. A bare file name stands for the place that
// version 1 documents.
func wellKnown(s string) string {
	s = published(s)
	switch {
	case s == "" || strings.Contains(s, "..") || strings.ContainsAny(s, " ?#%\\"):
		return ""
	case strings.HasPrefix(s, "/"):
		return s
	case strings.Contains(s, "/"), strings.HasSuffix(s, "."):
		return ""
	}
	return "/.well-known/pki-validation/" + strings.TrimSuffix(s, ".txt") + ".txt"
}

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
	case !r.Renew && equalFold(d.DCVStatus, "VERIFIED"):
		// With a renewal, the status may still be that of the old validation.
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
	known.Method, known.FailureClass = text(first(known.Method, w.Method)), text(first(
		known.FailureClass, w.FailureClass,
	))
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
