// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"errors"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/stretchr/testify/require"
)

func TestARoleSaysWhomItsCertificatesAreFor(t *testing.T) {
	signer := func(change func(*Role)) *Role {
		r := NewRole("signer")
		r.ProductCode, r.Variant, r.Key = "819", "natural-person", KeySpec{Type: "rsa", Bits: 2048}
		r.Subject = map[string]string{
			"first_name": "Platform", "last_name": "Team",
			"email": "{{identity.entity.metadata.email}}",
		}
		change(r)
		return r
	}
	for name, c := range map[string]struct {
		change func(*Role)
		want   string // part of the refusal; none when empty
	}{
		"a template is filled in later": {func(*Role) {}, ""},
		"a request may fill in what is needed": {func(r *Role) {
			r.Subject = nil
			r.AllowedSubjectFields = []string{"email", "first_name", "last_name"}
		}, ""},
		"or anything": {func(r *Role) {
			r.Subject, r.AllowedSubjectFields = nil, []string{"*"}
		}, ""},
		"a field that is needed and left to no request is missed": {func(r *Role) {
			delete(r.Subject, "email")
		}, "subject: email is needed for natural-person"},
		"a legal entity has its number": {func(r *Role) {
			r.Variant = "legal-entity"
			r.Subject["organization_name"] = "Example Ltd"
		}, "organization_identification_number is needed"},
		"a field that no subject has": {func(r *Role) {
			r.Subject["given_name"] = "x"
		}, `"given_name" is none of its fields`},
		"a field that no request can fill in": {func(r *Role) {
			r.AllowedSubjectFields = []string{"mail"}
		}, "allowed_subject_fields"},
		"an address that is none": {func(r *Role) {
			r.Subject["email"] = "platform at example.com"
		}, "email is not an e-mail address"},
		"a phone that is none": {func(r *Role) {
			r.Subject["phone"] = "0815"
		}, "phone is not in E.164 form"},
		"a country's name": {func(r *Role) {
			r.Subject["country_code"] = "India"
		}, "country_code is not a country code"},
		"a value of several lines": {func(r *Role) {
			r.Subject["locality"] = "a\nb"
		}, "locality must be one line"},
		"a value that no certificate could hold": {func(r *Role) {
			r.Subject["locality"] = strings.Repeat("x", 129)
		}, "locality is longer"},
		"host names are not for persons": {func(r *Role) {
			r.AllowedDomains = []string{"example.com"}
		}, "allowed_domains: is for host names"},
		"a subject is not for hosts": {func(r *Role) {
			r.Variant = "dv"
		}, "subject: is for document signers"},
		"a module's attestation is for document signers": {func(r *Role) {
			r.Variant, r.Attested = "dv", true
			r.Subject = nil
		}, "attested: is for document signers"},
		"and not for S/MIME": {func(r *Role) {
			r.Variant, r.Attested = "smime", true
		}, "attested: is for document signers"},
	} {
		t.Run(name, func(t *testing.T) {
			err := signer(c.change).Validate()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestASubjectIsFilledInForARequest(t *testing.T) {
	role := NewRole("signer")
	role.Variant = "legal-person"
	role.Subject = map[string]string{
		"first_name": "{{first}}", "last_name": "{{last}}",
		"email": "platform@example.com", "organization_name": "Example Ltd",
	}
	role.AllowedSubjectFields = []string{"designation"}
	metadata := map[string]string{"{{first}}": "Platform", "{{last}}": "Team"}
	fill := func(template string) (string, error) {
		if v, ok := metadata[template]; ok {
			return v, nil
		}
		return "", errors.New("no such value")
	}
	filled := Subject{
		"first_name": "Platform", "last_name": "Team",
		"email": "platform@example.com", "organization_name": "Example Ltd",
	}
	s, err := FillSubject(role, nil, fill)
	require.NoError(t, err)
	require.Equal(t, filled, s)
	require.Equal(t, "Platform Team", s.DisplayName(role.Variant))

	s, err = FillSubject(role, map[string]string{
		"designation": "Signatory", "email": "platform@example.com",
	}, fill)
	require.NoError(t, err, "what the role says may be said again")
	require.Equal(t, "Signatory", s["designation"])

	for name, c := range map[string]struct {
		requested map[string]string
		want      string
	}{
		"another value than the role's": {
			map[string]string{"email": "mallory@example.com"}, "email is set by the role",
		},
		"a field that is not the caller's": {
			map[string]string{"locality": "Bengaluru"}, "locality is not left to the requester",
		},
		"a field that no subject has": {
			map[string]string{"nickname": "x"}, `"nickname" is none`,
		},
		"a value that cannot be": {
			map[string]string{"designation": "a\x00b"}, "designation must be one line",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := FillSubject(role, c.requested, fill)
			require.ErrorContains(t, err, c.want)
		})
	}

	delete(metadata, "{{last}}")
	_, err = FillSubject(role, nil, fill)
	require.ErrorContains(t, err,
		`last_name: the role's template "{{last}}" has no value for this requester`)
	metadata["{{last}}"] = "Team\r\nX: y"
	_, err = FillSubject(role, nil, fill)
	require.ErrorContains(t, err, "last_name must be one line",
		"an entity's metadata are trusted no more than a request")
}

func TestTheNumberOfAnIdentityDocumentIsForgotten(t *testing.T) {
	open := Subject{"email": "platform@example.com", "identification_number": "X123"}
	require.Equal(t, Subject{"email": "platform@example.com"}, open.Forget())
	require.Equal(t, "X123", open["identification_number"],
		"other readers of the open order still need it")
	require.Nil(t, Subject(nil).Forget())
}

// Requests for different subjects are different requests (ADR 0020).
func TestSubjectsMakeDifferentRequests(t *testing.T) {
	role := NewRole("signer")
	named := func(s Subject) string {
		p := &Plan{Subject: s, variant: "natural-person"}
		return p.fingerprint(role, "account", "requester")
	}
	a := named(Subject{"first_name": "A", "last_name": "B", "email": "a@example.com"})
	require.Equal(t, a, named(Subject{
		"email": "a@example.com", "last_name": "B", "first_name": "A",
	}))
	require.NotEqual(t, a, named(Subject{
		"first_name": "A", "last_name": "B", "email": "b@example.com",
	}))
}
