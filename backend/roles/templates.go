// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package roles

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/helper/identitytpl"
	"github.com/hashicorp/vault/sdk/logical"
)

// Problems returns an error about each setting of a role that is wrong: [issuing.Role.Problems],
// and templates that nobody has a value for.
func Problems(r *issuing.Role) fault.Fields {
	return slices.Concat(r.Problems(), templateProblems(r))
}

// templateProblems returns an error for each identity template of a role that has a value for no
// requester. What Vault takes for a template is Vault's to say, so issuing, which knows no Vault,
// cannot tell.
func templateProblems(r *issuing.Role) (all fault.Fields) {
	if r.AllowedDomainsTemplate {
		for _, domain := range r.AllowedDomains {
			if problem := templateProblem(domain); problem != "" {
				all.Bad("allowed_domains", "%q can match no name: %s",
					sanitize.Short(domain), problem)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Subject)) {
		if problem := templateProblem(r.Subject[name]); problem != "" {
			all.Bad("subject", "%s is empty for every requester: %s", name, problem)
		}
	}
	return all
}

// parameter is an identity template within a text.
var parameter = regexp.MustCompile(`\{\{(.*?)\}\}`)

// templateProblem says which template in a text has no value for anybody; it is empty when each may
// have one, and for braces that do not match, which is told elsewhere.
func templateProblem(text string) string {
	for _, found := range parameter.FindAllStringSubmatch(text, -1) {
		if !mayHaveValue(found[0], strings.TrimSpace(found[1])) {
			return sanitize.Short(found[0]) + " is no identity template that has a value, " +
				"such as {{identity.entity.name}} or {{identity.entity.metadata.team}}"
		}
	}
	return ""
}

// mayHaveValue reports whether some requester has a value for a template: it is filled in for one
// who has what the template asks for. Templates that stand for a list have no value.
func mayHaveValue(template, name string) bool {
	in := identitytpl.PopulateStringInput{Mode: identitytpl.ACLTemplating, String: template}
	in.Entity, in.Groups = holderOf(name)
	_, value, err := identitytpl.PopulateString(in)
	return err == nil && value != ""
}

// holderOf returns an entity and groups that have what a template asks for by name.
func holderOf(name string) (*logical.Entity, []*logical.Group) {
	const some = "x"
	_, key, _ := strings.Cut(name, "metadata.")
	held := map[string]string{key: some}
	entity := &logical.Entity{ID: some, Name: some, Metadata: held}
	parts := strings.Split(name, ".")
	if len(parts) < 4 {
		return entity, nil
	}
	entity.Aliases = []*logical.Alias{{ // identity.entity.aliases.<accessor>.…
		ID: some, Name: some, MountAccessor: parts[3], Metadata: held, CustomMetadata: held,
	}}
	return entity, []*logical.Group{ // identity.groups.ids.<id>.… or .names.<name>.…
		{ID: parts[3], Name: some, Metadata: held}, {ID: some, Name: parts[3], Metadata: held},
	}
}
