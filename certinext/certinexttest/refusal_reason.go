// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"cmp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/rules"
)

// A reason is the rule that a refusal goes by, and where the rule is known from. It is for the
// journal: no answer has room for it.
type reason = rules.Rule

// because gives p its rule.
func (p *problem) because(r reason) *problem {
	p.reason = r
	return p
}

// becauseOf gives p the rule of another code than its own.
func (p *problem) becauseOf(code string) *problem { return p.because(rules.Of(code)) }

// why is the rule that p goes by. A refusal whose code has a rule of its own need not say it.
func (p *problem) why(inV1 bool) reason {
	code := p.ems
	if inV1 {
		code = cmp.Or(p.v1, p.ems)
	}
	switch {
	case p.reason != (reason{}):
		return p.reason
	case p.oauth != "":
		return reason{Name: p.oauth, Source: "RFC 6749, section 5.2; " + sourceLive}
	case rules.Of(code) != (reason{}):
		return rules.Of(code)
	case p.slug != "" && p.slug != slugRule:
		return reason{Name: p.slug, Source: sourceVendor}
	default:
		return reason{Name: "order-form", Source: sourceUnknown}
	}
}
