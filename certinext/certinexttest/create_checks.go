// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net"
	"regexp"
	"strings"
)

var (
	// e164 is the single phone number of v2, such as +14155551234.
	e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	// publicName is a DNS name of two labels or more, with or without a
	// wildcard; privateName may have a single label.
	publicName = regexp.MustCompile(
		`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`,
	)
	privateName = regexp.MustCompile(
		`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`,
	)
)

const mustNotBeBlank = "must not be blank"

// A checklist collects the field errors of one request, to be answered
// together.
type checklist []fieldError

func (l *checklist) add(field, message string) { *l = append(*l, fieldError{field, message}) }

func (l *checklist) notBlank(field, value string) {
	if strings.TrimSpace(value) == "" {
		l.add(field, mustNotBeBlank)
	}
}

func (l checklist) problem() *problem {
	if len(l) == 0 {
		return nil
	}
	return invalidFields(l...)
}

// party checks a contact; a mandatory one needs name and email.
func (l *checklist) party(field string, p *wireParty, mandatory bool) {
	if p == nil {
		if !mandatory {
			return
		}
		p = &wireParty{}
	}
	l.notBlank(field+".name", p.Name)
	l.notBlank(field+".email", p.Email)
	if p.Email != "" && !strings.Contains(p.Email, "@") {
		l.add(field+".email", "must be an email address")
	}
	if p.Phone != "" && !e164.MatchString(p.Phone) {
		l.add(field+".phone", "must be an E.164 number")
	}
}

func (l *checklist) subscription(sub *wireSubscription) {
	if sub == nil {
		return
	}
	if y := sub.ValidityYears; y != nil && (*y < 1 || *y > 3) {
		l.add("subscription.validityYears", "must be 1, 2 or 3")
	}
	if d := sub.RenewBeforeDays; d != nil && *d < 1 {
		l.add("subscription.renewBeforeDays", "must be positive")
	}
}

func (l *checklist) emails(field string, list []string) {
	for _, e := range list {
		if !strings.Contains(e, "@") {
			l.add(field, "must be email addresses")
		}
	}
}

// agreement checks an accepted agreement. The message names the block
// agreementDetails though the field is agreement: observed, and kept.
func (l *checklist) agreement(a *wireAgreement) {
	if a == nil || !a.Accepted {
		return
	}
	l.notBlank("agreementDetails.signerName", a.SignerName)
	l.notBlank("agreementDetails.signerPlace", a.SignerPlace)
}

func years(sub *wireSubscription) int {
	if sub == nil || sub.ValidityYears == nil {
		return 1
	}
	return *sub.ValidityYears
}

// distinct lower-cases names and drops repetitions, of first among them too.
func distinct(first string, names []string) []string {
	seen := map[string]bool{first: true}
	var out []string
	for _, n := range names {
		n = strings.ToLower(n)
		if !seen[n] {
			seen[n] = true
			out = append(out, n)
		}
	}
	return out
}

// invalidHost is the refusal of a name in private PKI.
func invalidHost(name string) *problem {
	return rule("EMS-917", "Invalid host name "+name).inV1("EMS-1057").because(reason{
		Name: "host-name-form", Source: "RFC 1123, section 2.1",
	})
}

// splitHosts sorts private names into DNS names and addresses.
func splitHosts(names []string) (dns []string, ips []net.IP, problem *problem) {
	for _, n := range names {
		switch ip := net.ParseIP(n); {
		case ip != nil:
			ips = append(ips, ip)
		case len(n) <= 253 && privateName.MatchString(n):
			dns = append(dns, n)
		default:
			return nil, nil, invalidHost(n)
		}
	}
	return dns, ips, nil
}
