// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// The names of the checks that a request has to pass under its role.
const (
	CheckRequest  = "request"       // its fields that name no certificate
	CheckSettings = "role"          // what is set in role and config
	CheckNames    = "names"         // they are names, and those of the CSR
	CheckProduct  = "product_names" // the product takes such names
	CheckAllowed  = "allowed_names" // and the role allows them
	CheckKey      = "key"           // who makes it, and how
)

// A Check is one of them, and each problem that was found.
type Check struct {
	Name     string
	Problems fault.Fields
}

// Checks are those that were made: one that depends on an earlier one that has failed is missing.
type Checks []Check

// Add adds a check, which has passed when there is no problem.
func (c *Checks) Add(name string, problems ...error) {
	*c = append(*c, Check{Name: name, Problems: problems})
}

// First returns the first problem, by which a request is refused; nil when all checks have passed.
func (c Checks) First() error {
	for _, check := range c {
		if err := check.Problems.First(); err != nil {
			return err
		}
	}
	return nil
}

// Judge is [NewPlan], and goes on where a check has failed: it returns what each of them has found.
// The plan is nil when the request's names or its CSR cannot be read.
func Judge(
	role *Role, cfg *account.Config, domains []string, subject Subject, r Request,
) (*Plan, Checks) {
	var checks Checks
	checks.Add(CheckRequest, requestProblems(role, r)...)
	checks.Add(CheckSettings, Blockers(role, cfg)...)
	p := judgeNames(&checks, role, domains, subject, r)
	if p == nil {
		return nil, checks
	}
	checks.Add(CheckKey, keyProblems(role, cfg, p)...)
	p.identify(role, cfg, r)
	return p, checks
}

// requestProblems returns what is wrong with the fields that say how the order is to be handled.
func requestProblems(role *Role, r Request) (all fault.Fields) {
	if r.ID != "" && !requestID.MatchString(r.ID) {
		all.Bad("request_id",
			"must be 1 to 128 letters, digits and . _ : / @ -, beginning with a letter or digit")
	}
	if r.ID != "" && r.ForceNew {
		all.Bad("force_new", "does not go with request_id: another name is another request")
	}
	all.Add(checkKept(r))
	if r.TTL < 0 {
		all.Bad("ttl", "must not be negative")
	}
	if r.Draft && role.Shape().Family != certinext.FamilySSL {
		all.Bad("save_as_draft", "CERTInext keeps no drafts of %s orders", role.Shape().Family)
	}
	return all
}

// judgeNames plans what the certificate is for, and checks it; it returns nil when that cannot be
// read.
func judgeNames(
	checks *Checks, role *Role, domains []string, subject Subject, r Request,
) *Plan {
	if subject != nil {
		p, err := planSubject(role, subject, r)
		checks.Add(CheckNames, NonNil(err)...)
		return p
	}
	p, err := planNames(role, r)
	checks.Add(CheckNames, NonNil(err)...)
	if err != nil {
		return nil
	}
	checks.Add(CheckProduct, NonNil(role.Shape().Fits(p.DNSNames, len(p.IPs)))...)
	checks.Add(CheckAllowed, nameProblems(role, domains, p)...)
	return p
}

// keyProblems returns what is wrong with who makes the key, or with the CSR that holds it.
func keyProblems(role *Role, cfg *account.Config, p *Plan) (all fault.Fields) {
	if p.namelessCSR && !cfg.CSRWithoutCommonName {
		all.Bad("csr", "has no common name: make one whose common name is %s, or set "+
			"csr_without_common_name in config if the account takes such CSRs", p.CommonName())
	}
	if p.CSR == "" && role.Attested {
		all.Bad("csr", "is required: the role's keys come from attested "+
			"hardware modules (attested), so it only signs")
	}
	if p.CSR == "" && p.Key.Type == "any" {
		all.Bad("key_type", "is any in the role, so it only signs: use "+
			"<mount>/sign/%s, or set the role's key_type", role.Name)
	}
	return all
}

// NonNil returns the errors that are not nil.
func NonNil(errs ...error) (all fault.Fields) {
	for _, err := range errs {
		all.Add(err)
	}
	return all
}
