// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A DomainChallenge is what to publish to validate one domain of an order.
type DomainChallenge struct {
	Domain    string
	Verified  bool
	DNSNames  []string // candidates for the TXT record's owner; publish at all of them when CERTInext names none
	HTTPURL   string   // where CERTInext fetches the file of http-url
	Challenge certinext.Challenge
	Error     string
	// Found is, for a TXT record that CERTInext does not see, what was looked for, where, and what was found.
	Found string
}

// ChallengeURL is where CERTInext fetches a file.
func ChallengeURL(domain, path string) string {
	return "http://" + strings.TrimPrefix(domain, "*.") + path
}

// Proof is what has to be published to prove control of a domain.
type Proof struct {
	Domain      string              `json:"domain"`
	Method      certinext.DCVMethod `json:"method,omitempty"`
	DNSNames    []string            `json:"dns_names,omitempty"` // of the TXT records; all of them when CERTInext names none
	DNSValue    string              `json:"dns_value,omitempty"`
	HTTPPath    string              `json:"http_path,omitempty"`
	HTTPContent string              `json:"http_content,omitempty"`
	EmailTo     []string            `json:"email_to,omitempty"`
	AskedAt     time.Time           `json:"asked_at"`
}

const (
	// ProofLife is shorter than that of a token (48 h, documented).
	ProofLife = 24 * time.Hour

	// MaxProofs bounds how many domains are asked about for a message: what is left is behind the order's own path.
	MaxProofs = 5

	// MaxText is for all that a message says of one domain.
	MaxText = 1000
)

// Fresh drops what CERTInext may have forgotten by now, and what proves control by another method.
func Fresh(proofs []Proof, method certinext.DCVMethod, now time.Time) []Proof {
	return slices.DeleteFunc(slices.Clone(proofs), func(p Proof) bool {
		return p.Method != method || now.After(p.AskedAt.Add(ProofLife))
	})
}

// Text says what to publish. It is empty when CERTInext did not say, or said what a message would have to cut or to change:
// it is there to be copied.
func (p *Proof) Text() string {
	text, parts := "", append([]string{p.Domain}, p.DNSNames...)
	switch {
	case p.DNSValue != "":
		text = fmt.Sprintf("publish the TXT record %s with the value %s", strings.Join(p.DNSNames, " and "), p.DNSValue)
		parts = append(parts, p.DNSValue)
	case p.HTTPPath != "":
		text = fmt.Sprintf("serve %s with the content %s", ChallengeURL(p.Domain, p.HTTPPath), p.HTTPContent)
		parts = append(parts, p.HTTPPath, p.HTTPContent)
	case len(p.EmailTo) > 0:
		text = "answer the mail to one of " + strings.Join(p.EmailTo, ", ")
		parts = append(parts, p.EmailTo...)
	}
	if len(text) > MaxText || slices.ContainsFunc(parts, func(s string) bool { return !sanitize.Copyable(s) }) {
		return ""
	}
	return text
}

// DisplayDomain is a domain for a message. It is shortened only where it is none.
func DisplayDomain(domain string) string {
	if sanitize.Copyable(domain) {
		return domain
	}
	return sanitize.Short(domain)
}
