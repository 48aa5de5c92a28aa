// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// What a team may do is said by its role's name in the path. A pattern orders/team-a* would also cover team-ab.
const teamPolicy = `
path "certinext/issue/%[1]s"    { capabilities = ["update"] }
path "certinext/sign/%[1]s"     { capabilities = ["update"] }
path "certinext/issue/shared"   { capabilities = ["update"] }
path "certinext/orders/%[1]s"   { capabilities = ["update", "list"] }
path "certinext/orders/%[1]s/"  { capabilities = ["list"] }
path "certinext/orders/%[1]s/*" { capabilities = ["read", "update", "delete"] }
path "certinext/revoke/%[1]s"   { capabilities = ["update"] }
`

// team makes a role, a policy and a person of the team's name with an identity of its own, and logs that person in.
func (v *server) team(name string) *caller {
	v.t.Helper()
	domain := name + ".example.com"
	v.role(name, map[string]any{"allowed_domains": domain, "issue_timeout": "3s"})
	return v.person(name, map[string]string{"domain": domain}, fmt.Sprintf(teamPolicy, name))
}

// person makes somebody with an identity and a policy of his own, and logs him in.
func (v *server) person(name string, metadata map[string]string, policy string) *caller {
	v.t.Helper()
	require.NoError(v.t, v.api.Sys().PutPolicyWithContext(v.t.Context(), name, policy))
	password := "the password of " + name
	v.write("auth/userpass/users/"+name, map[string]any{"password": password, "token_policies": name})
	v.keep("a password", password)
	auths, err := v.api.Sys().ListAuthWithContext(v.t.Context())
	require.NoError(v.t, err)
	entity := v.write("identity/entity", map[string]any{"name": name, "metadata": metadata})
	v.write("identity/entity-alias", map[string]any{
		"name": name, "canonical_id": entity.Data["id"], "mount_accessor": auths["userpass/"].Accessor,
	})
	return v.login(name)
}

// enableLogins lets people log in by name and password.
func (v *server) enableLogins() {
	v.t.Helper()
	v.write("sys/auth/userpass", map[string]any{"type": "userpass"})
}

// login returns the person with a new token.
func (v *server) login(name string) *caller {
	v.t.Helper()
	resp := v.write("auth/userpass/login/"+name, map[string]any{"password": "the password of " + name})
	return v.as(resp.Auth.ClientToken)
}

func TestTwoTeamsKeepToTheirOwnRoles(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("shared", map[string]any{
		"allowed_domains": "{{identity.entity.metadata.domain}}", "allowed_domains_template": true,
	})
	v.enableLogins()
	a, b := v.team("team-a"), v.team("team-b")

	ofA := a.write("certinext/issue/team-a", map[string]any{"common_name": "www.team-a.example.com"})
	ofB := b.write("certinext/issue/team-b", map[string]any{"common_name": "www.team-b.example.com"})
	ca.check(t, ofA)
	ca.check(t, ofB)
	openOfB := b.write("certinext/orders/team-b", map[string]any{"common_name": "api.team-b.example.com"})
	idA, idB, openB := text(t, ofA.Data["order_id"]), text(t, ofB.Data["order_id"]), text(t, openOfB.Data["order_id"])
	before := ca.Calls()

	t.Run("a team sees its own orders", func(t *testing.T) {
		require.Equal(t, []string{idA}, a.list("certinext/orders/team-a"))
		require.Equal(t, ofA.Data["serial_number"], a.read("certinext/orders/team-a/" + idA)["serial_number"])
	})
	t.Run("a team may not touch the other's paths", func(t *testing.T) {
		for _, path := range []string{
			"issue/team-b", "sign/team-b", "orders/team-b", "orders/team-b/" + openB + "/collect",
			"orders/team-b/" + openB + "/dcv", "revoke/team-b", "revoke", "config", "roles/team-a",
		} {
			_, err := a.send("certinext/"+path, map[string]any{"common_name": "www.team-a.example.com"})
			a.forbidden(path, err)
		}
		for _, path := range []string{"orders/team-b/" + openB, "orders/team-b/" + idB + "/dcv", "cert/" + text(t, ofB.Data["serial_number"]), "roles/team-b", "config"} {
			_, err := a.api.Logical().ReadWithContext(t.Context(), "certinext/"+path)
			a.forbidden(path, err)
		}
		_, err := a.api.Logical().ListWithContext(t.Context(), "certinext/orders/team-b")
		a.forbidden("the list of orders", err)
		_, err = a.api.Logical().DeleteWithContext(t.Context(), "certinext/orders/team-b/"+openB)
		a.forbidden("cancelling", err)
	})
	t.Run("the other's orders are unknown under the own role", func(t *testing.T) {
		const unknown = "11111111-1111-1111-1111-111111111111"
		for _, id := range []string{idB, openB} {
			resp, err := a.api.Logical().ReadWithContext(t.Context(), "certinext/orders/team-a/"+id)
			require.NoError(t, err)
			require.Nil(t, resp)
			for _, act := range []string{"/collect", "/dcv"} {
				require.Equal(t,
					strings.ReplaceAll(a.refused("certinext/orders/team-a/"+unknown+act, nil), unknown, "ID"),
					strings.ReplaceAll(a.refused("certinext/orders/team-a/"+id+act, nil), id, "ID"), act)
			}
			require.Contains(t, a.refused("certinext/revoke/team-a", map[string]any{"order_id": id}), "no order")
			_, err = a.api.Logical().DeleteWithContext(t.Context(), "certinext/orders/team-a/"+id)
			require.Contains(t, a.reason(400, err), "no order")
		}
	})
	t.Run("the other's certificate cannot be revoked, nor found out about", func(t *testing.T) {
		serial := text(t, ofB.Data["serial_number"])
		const unknown = "4a:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01"
		require.Equal(t,
			strings.ReplaceAll(a.refused("certinext/revoke/team-a", map[string]any{"serial_number": unknown}), unknown, "SERIAL"),
			strings.ReplaceAll(a.refused("certinext/revoke/team-a", map[string]any{"serial_number": serial}), serial, "SERIAL"))
		a.refused("certinext/revoke/team-a", map[string]any{"certificate": ofB.Data["certificate"]})
	})
	require.Equal(t, before, ca.Calls(), "the CA heard of what was refused")

	t.Run("each team gets names of its own domain only", func(t *testing.T) {
		ca.check(t, a.write("certinext/issue/shared", map[string]any{"common_name": "x.team-a.example.com"}))
		ca.check(t, b.write("certinext/issue/shared", map[string]any{"common_name": "x.team-b.example.com"}))
		for _, name := range []string{"x.team-b.example.com", "www.example.com", "team-b.example.com"} {
			require.Contains(t, a.refused("certinext/issue/shared", map[string]any{"common_name": name}), "common_name")
		}
		require.Contains(t, v.refused("certinext/issue/shared", map[string]any{"common_name": "x.team-a.example.com"}), "not allowed",
			"root has no identity, so the template gives it nothing")
	})
	t.Run("a team revokes its own", func(t *testing.T) {
		revoked := a.write("certinext/revoke/team-a", map[string]any{"order_id": idA})
		require.Equal(t, "revoked", revoked.Data["state"])
		require.Equal(t, "revoked", ca.ordersFor("www.team-a.example.com")[0].Status)
	})
}

// Whoever logs in again is the same requester, and never gets what somebody else has ordered.
func TestAnOpenOrderBelongsToTheIdentityThatPlacedIt(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 8 * time.Second})
	v := startVault(t)
	v.configure(ca)
	v.role("shared", map[string]any{"issue_timeout": "1s"})
	v.enableLogins()
	a, b := v.team("team-a"), v.team("team-b")
	request := map[string]any{"common_name": "www.example.com"}

	first := orderID.FindString(a.refused("certinext/issue/shared", request))
	require.NotEmpty(t, first)
	other := orderID.FindString(b.refused("certinext/issue/shared", request))
	require.NotEqual(t, first, other, "two identities share an order")

	again := v.login("team-a")
	resp := again.persist(30*time.Second, "certinext/issue/shared", request)
	ca.check(t, resp)
	require.Equal(t, first, resp.Data["order_id"])
	resp = b.persist(30*time.Second, "certinext/issue/shared", request)
	ca.check(t, resp)
	require.Equal(t, other, resp.Data["order_id"])
	require.Len(t, ca.Orders(), 2)
}
