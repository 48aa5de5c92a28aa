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

// A DomainChallenge tells a caller what to publish to validate one domain.
type DomainChallenge struct {
	Domain    string
	Verified  bool                // CERTInext has validated the domain already
	DNSNames  []string            // of the TXT records: CERTInext's choice, or all of dcv_hosts
	HTTPURL   string              // where CERTInext fetches the file of http-url
	Challenge certinext.Challenge // as CERTInext returned it; zero with Error
	Error     string              // why the challenge or its verification failed; may be empty
	// Found says, for a TXT record that CERTInext does not see, which record was looked up, at
	// which servers, and what they answered.
	Found string
}

// ChallengeURL returns the URL from which CERTInext fetches the file at path. A wildcard is
// validated at the domain below it.
func ChallengeURL(domain, path string) string {
	return "http://" + strings.TrimPrefix(domain, "*.") + path
}

// A Proof is what has to be published to prove control of a domain. It is stored with its order or
// registered domain, so that messages about it need not ask CERTInext again.
type Proof struct {
	Domain      string              `json:"domain"`
	Method      certinext.DCVMethod `json:"method,omitempty"`
	DNSNames    []string            `json:"dns_names,omitempty"` // of the TXT records
	DNSValue    string              `json:"dns_value,omitempty"`
	HTTPPath    string              `json:"http_path,omitempty"`
	HTTPContent string              `json:"http_content,omitempty"`
	EmailTo     []string            `json:"email_to,omitempty"`
	AskedAt     time.Time           `json:"asked_at"` // when CERTInext was asked for it
}

const (
	// proofLife is how long a stored proof is used. CERTInext's tokens live longer (48 h,
	// documented).
	proofLife = 24 * time.Hour

	// MaxProofs bounds how many domains a message describes. The order's dcv path describes all.
	MaxProofs = 5

	// MaxText bounds what a message says of one domain, in bytes.
	MaxText = 1000
)

// Fresh returns the proofs that use method and are no older than [proofLife].
func Fresh(proofs []Proof, method certinext.DCVMethod, now time.Time) []Proof {
	return slices.DeleteFunc(slices.Clone(proofs), func(p Proof) bool {
		return p.Method != method || !p.IsFresh(now)
	})
}

// IsFresh reports whether CERTInext still knows the proof. One that was asked for in the future was
// so by a clock that has been set back since.
func (p *Proof) IsFresh(now time.Time) bool {
	return !p.AskedAt.After(now) && !now.After(p.AskedAt.Add(proofLife))
}

// Text tells the requester what to publish. It is empty when CERTInext did not say, and when the
// values would have to be shortened or altered for a message, since readers copy them.
func (p *Proof) Text() string {
	text, parts := "", append([]string{p.Domain}, p.DNSNames...)
	switch {
	case p.DNSValue != "":
		text = fmt.Sprintf("publish the TXT record %s with the value %s",
			strings.Join(p.DNSNames, " and "), p.DNSValue)
		parts = append(parts, p.DNSValue)
	case p.HTTPPath != "":
		text = fmt.Sprintf("serve %s with the content %s",
			ChallengeURL(p.Domain, p.HTTPPath), p.HTTPContent)
		parts = append(parts, p.HTTPPath, p.HTTPContent)
	case len(p.EmailTo) > 0:
		text = "answer the mail to one of " + strings.Join(p.EmailTo, ", ")
		parts = append(parts, p.EmailTo...)
	}
	altered := func(s string) bool { return !sanitize.Copyable(s) }
	if len(text) > MaxText || slices.ContainsFunc(parts, altered) {
		return ""
	}
	return text
}

// DisplayDomain returns a domain for a message. A domain name is shown whole; a text from CERTInext
// that cannot be one is shortened and loses its control characters.
func DisplayDomain(domain string) string {
	if sanitize.Copyable(domain) {
		return domain
	}
	return sanitize.Short(domain)
}
