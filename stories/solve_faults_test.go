// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// solverFaults are faults of storage that a solver meets.
var solverFaults = map[string]func(z *zoned) (heal func()){
	"its settings cannot be read": func(z *zoned) func() {
		storage := z.partly()
		storage.below("dcv/solver/")
		return func() { storage.below("") }
	},
	"its journal cannot be read": func(z *zoned) func() {
		storage := z.partly()
		storage.below("dcv/record/")
		return func() { storage.below("") }
	},
	"its journal cannot be written": func(z *zoned) func() {
		z.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "dcv/record/") {
				return errStorageAway
			}
			return nil
		})
		return func() { z.storage.failing(nil) }
	},
}

// A fault of storage is nothing that an operator has to mend: the order waits for its solver, which tries again.
func TestAnOrderDoesNotWaitForAnOperatorWhileStorageIsAway(t *testing.T) {
	for name, fail := range solverFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "1s"})
			heal := fail(z)
			z.refused("issue/web", www)
			order := z.onlyOrder("web")
			require.Equal(t, "dcv-solver", order["waits_for"], order["needs"])
			require.Contains(t, strings.Join(order["needs"].([]string), "; "), errStorageAway.Error())
			heal()
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv"})
			z.chainOK(z.write("issue/web", www))
			require.Len(t, z.ca.Orders(), 1)
			z.requireClean("example.com")
		})
	}
}

// A registration that storage does not take is a fault of the server. CERTInext has refused nothing, and is not left alone for it.
func TestAFaultOfStorageIsNoRefusalOfADomain(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.storage.failing(func(key string) error {
		if strings.HasPrefix(key, "dcv/domain/") {
			return errStorageAway
		}
		return nil
	})
	_, err := z.attempt("domains/example.com", map[string]any{
		"organization_number": certinexttest.DefaultOrganization, "dcv_solver": "corp",
		"dcv_resolvers": z.dns.Addr, "dcv_propagation_servers": z.dns.Addr,
	})
	require.ErrorIs(t, err, errStorageAway)

	z.storage.failing(nil)
	z.register("example.com", map[string]any{"keep_validated": true})
	z.later(200 * day)
	z.storage.failing(func(key string) error {
		if strings.HasPrefix(key, "dcv/domain/") {
			return errStorageAway
		}
		return nil
	})
	require.ErrorIs(t, z.failedPass(), errStorageAway, "the operator hears of the fault")
}

// Without a config nothing can be validated, and every pass would say so.
func TestADomainIsLeftAloneWithoutAConfig(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.register("example.com", map[string]any{"keep_validated": true})
	z.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
	z.later(200 * day)
	before := len(z.log.String())
	z.pass()
	z.later(time.Hour)
	z.pass()
	told := z.log.String()[before:]
	require.NotContains(t, told, "example.com")
	require.LessOrEqual(t, strings.Count(told, "\n"), 1, "no more than that this server's clock is wrong, once")
}
