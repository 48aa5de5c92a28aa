// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package readiness

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// judgeConfig says what is wrong in the config itself. Without roles, it is judged for those that
// may come: for publicly trusted products.
func judgeConfig(said *findings, cfg *account.Config, all []*issuing.Role, got *answers) {
	wrong := cfg.OrderDefaults.Problems()
	if len(all) == 0 {
		stub := issuing.NewRole("")
		stub.Variant = "dv"
		wrong = slices.Concat(issuing.Blockers(stub, cfg), issuing.Doubts(stub, cfg))
	}
	wrong.Add(groupProblem(cfg.GroupNumber, got))
	organization := unknownOrganization(cfg.OrganizationNumber, got)
	if needsOrganizationOf(cfg, all) {
		wrong.Add(organization)
	} else if organization != nil {
		said.note("config: %s: no role needs it", organization.Error())
	}
	stub := new(issuing.Role)
	for _, err := range wrong {
		field := fieldOf(err)
		said.problem("config: %s: vault write <mount>/config %s=%s", err.Error(), field,
			valueFor(field, stub, cfg, got))
	}
	products, isKnown := got.products[cfg.GroupNumber]
	switch {
	case isKnown && len(products) == 0:
		said.problem("config: the account's catalog is empty: no product can be ordered; some " +
			"accounts need a group_number: vault write <mount>/config group_number='<number>'; " +
			"vault list -detailed <mount>/groups names them")
	case isKnown && cfg.DefaultProductCode != "" && !hasProduct(products, cfg.DefaultProductCode):
		said.problem("config: default_product_code: %s is not in the account's catalog, so roles "+
			"that name no product are refused: vault write <mount>/config "+
			"default_product_code='<code>'; vault read <mount>/catalog/products says what it has",
			sanitize.Short(cfg.DefaultProductCode))
	}
}

// needsOrganizationOf reports whether orders of a role are for the config's organization.
func needsOrganizationOf(cfg *account.Config, all []*issuing.Role) bool {
	return slices.ContainsFunc(all, func(r *issuing.Role) bool {
		return r.OrganizationNumber == "" && usesOrganization(r, cfg)
	})
}

func hasProduct(products []certinext.Product, code string) bool {
	return slices.ContainsFunc(products, func(p certinext.Product) bool { return p.Code == code })
}

// judgeRole says what makes orders of a role fail or wait.
func judgeRole(said *findings, role *issuing.Role, cfg *account.Config, got *answers) {
	refused := slices.Concat(roles.Problems(role), issuing.Blockers(role, cfg),
		issuing.Doubts(role, cfg))
	d := role.OrderDefaults.Or(cfg.OrderDefaults)
	if d.GroupNumber != cfg.GroupNumber {
		refused.Add(groupProblem(d.GroupNumber, got))
	}
	refused.Add(productProblem(role, got.products, d.GroupNumber))
	if cfg.AllowsProduct(role.ProductCode) != nil {
		refused.Bad("allowed_products", "product %s of the role is not among them",
			sanitize.Short(role.ProductCode))
	}
	if specs, isKnown := got.fields[role.ProductCode]; isKnown {
		refused.Add(issuing.CheckCustomFields(specs, role.FieldsAsSent()))
	}
	if usesOrganization(role, cfg) {
		refused.Add(organizationProblem(role, d.OrganizationNumber, cfg, got))
	}
	seen := map[string]bool{}
	for _, err := range refused {
		field := fieldOf(err)
		if !seen[field] || field == "allowed_domains" || field == "tags" { // the first says enough
			said.refusal(role, cfg, err, got)
		}
		seen[field] = true
	}
	for _, text := range role.OrderWarnings() {
		said.notes.add(role.Name, text)
	}
	noteWaits(said, role, d, cfg, got)
}

// fieldOf returns the field that an error is about.
func fieldOf(err error) string {
	field, _, _ := strings.Cut(err.Error(), ":")
	return field
}

// groupProblem returns an error when CERTInext knows no group of a number.
func groupProblem(number string, got *answers) error {
	isIt := func(g certinext.Group) bool { return g.Number == number }
	if number == "" || got.groups == nil || slices.ContainsFunc(got.groups, isIt) {
		return nil
	}
	return fault.BadField("group_number", "CERTInext knows no group %s of this account",
		sanitize.Short(number))
}

// productProblem returns an error when the group may not order a role's product.
func productProblem(
	role *issuing.Role, products map[string][]certinext.Product, group string,
) error {
	known, isKnown := products[group]
	if !isKnown || role.ProductCode == "" {
		return nil
	}
	_, err := account.ResolveVariant(known, role.ProductCode, role.Variant)
	return err
}

// unknownOrganization returns an error when CERTInext knows no organization of a number.
func unknownOrganization(number string, got *answers) error {
	o, isKnown := got.organization(number)
	if number == "" || !isKnown || o != nil {
		return nil
	}
	return fault.BadField("organization_number", "CERTInext knows no organization %s of this "+
		"account", sanitize.Short(number))
}

// organizationProblem returns an error when orders of a role cannot be for the organization of a
// number. That the config's is unknown is said of the config.
func organizationProblem(
	role *issuing.Role, number string, cfg *account.Config, got *answers,
) error {
	if role.OrganizationNumber != "" || role.Shape().Vetted() {
		if err := unknownOrganization(number, got); err != nil && number != cfg.OrganizationNumber {
			return err
		}
	}
	o, _ := got.organization(number)
	if o == nil || !role.Shape().Vetted() {
		return nil
	}
	if problem := unfitness(o, role); problem != "" {
		return fault.BadField("organization_number", "%s (%s) %s", sanitize.Short(number),
			sanitize.Short(o.Name), problem)
	}
	return nil
}

// unfitness says why orders of a role cannot be for an organization; empty when they can, or when
// that is not known.
func unfitness(o *certinext.Organization, role *issuing.Role) string {
	base := role.Shape().Base
	switch {
	case base == "ev" && o.ValidationFor != "" && o.ValidationFor != "2":
		return "is not validated for EV"
	case base == "ov" && o.ValidationFor == "3":
		return "is validated for S/MIME, and not for OV"
	}
	return ""
}

// noteWaits says what orders of a role will wait for.
func noteWaits(
	said *findings, role *issuing.Role, d account.OrderDefaults, cfg *account.Config,
	got *answers,
) {
	o, _ := got.organization(d.OrganizationNumber)
	if role.Shape().Vetted() && o != nil {
		if o.PreVetted != nil && !*o.PreVetted {
			said.notes.add(role.Name, fmt.Sprintf("organization_number: %s (%s) is not vetted "+
				"yet: orders wait until it is", sanitize.Short(d.OrganizationNumber),
				sanitize.Short(o.Name)))
		}
		bound := cmp.Or(role.ConsentOrganization, d.OrganizationNumber)
		if d.ConsentToken == "" || (role.ConsentToken != "" && bound != d.OrganizationNumber) {
			said.notes.add(role.Name, "consent_token: none is sent for organization "+
				sanitize.Short(d.OrganizationNumber)+", so orders may wait for an approver")
		}
	}
	noteDomains(said, role, got)
	if cfg.AccountNumber != "" && cfg.Version() == certinext.V2 &&
		role.Shape().Family == certinext.FamilyPrivatePKI &&
		(role.CAProfileID == "" || role.MasterProductID == "") {
		said.notes.add(role.Name, "ca_profile_id, master_product_id: the published edition of "+
			"the API takes no order of private PKI without them")
	}
}

// noteDomains says which allowed domains of a publicly trusted role are not validated, when nobody
// would publish what proves control of them.
func noteDomains(said *findings, role *issuing.Role, got *answers) {
	if !role.Shape().Public() || role.DNS.Solver != "" || !got.domains.Whole {
		return
	}
	var open []string
	for _, domain := range role.PlainDomains() {
		if _, isValidated := got.domains.Covering(domain); !isValidated {
			open = append(open, domain)
		}
	}
	if len(open) > 0 {
		said.notes.add(role.Name, "allowed_domains: "+someOf(open)+": no validation of the "+
			"account covers this, and the role has no dcv_solver, so an order waits until "+
			"somebody publishes what vault read <mount>/orders/"+role.Name+"/<id>/dcv shows")
	}
}
