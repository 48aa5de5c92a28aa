// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

// register writes a domain for the default organization, which the solver validates.
func (z *zoned) register(name string, changes map[string]any) map[string]any {
	z.t.Helper()
	data := map[string]any{
		"organization_number": certinexttest.DefaultOrganization, "dcv_solver": "corp", "dcv_resolvers": z.dns.Addr, "dcv_propagation_servers": z.dns.Addr,
	}
	maps.Copy(data, changes)
	return z.write("domains/"+name, data).Data
}

// onlyDomain is the one domain that CERTInext holds.
func (z *zoned) onlyDomain() certinexttest.DomainRecord {
	z.t.Helper()
	domains := z.ca.Domains()
	require.Len(z.t, domains, 1)
	return domains[0]
}

func TestADomainIsValidatedBeforeAnyOrder(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	data := z.register("Example.com", nil)
	require.Equal(t, true, data["validated"], data)
	require.Equal(t, "example.com", data["domain"])
	require.Equal(t, "VERIFIED", data["dcv_status"])
	till, err := time.Parse(time.RFC3339, data["valid_till"].(string))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(199*day), till, 2*day)
	require.Empty(t, data["next_at"], "nobody has asked to keep it")
	z.requireClean("example.com")
	require.Equal(t, []string{"example.com"}, z.list("domains/"))

	// An order for it, and below it, is a matter of seconds.
	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	require.Zero(t, z.ca.Calls()[certinexttest.OpDCV])

	again := z.register("example.com", nil)
	require.Equal(t, data["domain_id"], again["domain_id"])
	require.Equal(t, 1, z.ca.Calls()[certinexttest.OpAddDomain])
	require.Equal(t, data["valid_till"], z.read("domains/example.com").Data["valid_till"])

	z.must(call{op: logical.DeleteOperation, path: "domains/example.com"})
	require.Empty(t, z.list("domains/"))
	require.True(t, z.onlyDomain().Verified, "the account keeps it")
	resp, err := z.send(call{op: logical.ReadOperation, path: "domains/example.com"})
	require.NoError(t, err)
	require.Nil(t, resp)
}

func TestADomainIsKeptValidated(t *testing.T) {
	clock := new(zoned)
	ca := &certinexttest.Server{DomainValidity: 100 * day}
	ca.Now = func() time.Time {
		if clock.mount == nil {
			return time.Now()
		}
		return clock.now()
	}
	z := newZoned(t, ca, dcvtest.Zone{Name: "example.com"})
	clock.mount = z.mount
	data := z.register("example.com", map[string]any{"keep_validated": true, "renew_before": "720h"})
	require.Equal(t, true, data["validated"], data)
	first := z.onlyDomain().ValidTill
	require.NotEmpty(t, data["next_at"])

	z.later(69 * day)
	z.pass()
	require.Equal(t, first, z.onlyDomain().ValidTill, "it is not due yet")
	z.later(2 * day)
	z.pass()
	second := z.onlyDomain().ValidTill
	require.WithinDuration(t, z.now().Add(100*day), second, day, "it is validated anew 30 days ahead")
	require.True(t, z.onlyDomain().Verified)
	z.requireClean("example.com")
	data = z.read("domains/example.com").Data
	require.Empty(t, data["last_error"])
	require.Equal(t, second.UTC().Format(time.RFC3339), data["valid_till"])

	// For as long as the DNS refuses, it is tried again, and said why.
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"tsig_secret": "c29tZSBvdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4u"}})
	z.later(71 * day)
	z.pass()
	data = z.read("domains/example.com").Data
	require.Contains(t, data["last_error"], "the solver corp validates control of example.com: the solver corp failed at publishing")
	require.Equal(t, true, data["validated"], "it still is")
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"tsig_secret": z.dns.KeySecret}})
	z.later(time.Hour)
	z.pass()
	require.Empty(t, z.read("domains/example.com").Data["last_error"])
	require.True(t, z.onlyDomain().ValidTill.After(second))
	z.requireClean("example.com")
}

func TestADomainThatIsBegunIsFinishedInTheBackground(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpVerifyDomain, Kind: certinexttest.FaultServerError, Times: 100})
	done := make(chan struct{})
	var data map[string]any
	go func() { defer close(done); data = z.register("example.com", nil) }()
	require.Eventually(t, func() bool { return z.ca.Calls()[certinexttest.OpVerifyDomain] > 0 }, 10*time.Second, 5*time.Millisecond)
	z.later(askPatience) // the request's time is up
	<-done
	require.Equal(t, false, data["validated"])
	require.NotEmpty(t, data["needs"])
	require.NotEmpty(t, data["next_at"])
	require.NotEmpty(t, z.dns.Challenges("example.com"), "the record is still needed")

	z.ca.ClearFaults()
	z.later(time.Minute)
	z.pass()
	require.True(t, z.onlyDomain().Verified)
	z.requireClean("example.com")
}

// askPatience is how long a request about a domain lasts.
const askPatience = time.Minute

func TestADomainIsValidatedByHand(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com", Records: []string{"@ A 127.0.0.1"}})
	data := z.register("example.com", map[string]any{"dcv_solver": ""})
	require.Equal(t, false, data["validated"])
	challenge := data["challenge"].(map[string]any)
	require.Contains(t, challenge["dns_names"], "_emudhra-challenge.example.com")
	require.NotEmpty(t, challenge["dns_value"])

	data = z.write("domains/example.com/verify", nil).Data
	require.Equal(t, false, data["validated"])
	require.Contains(t, data["challenge"].(map[string]any)["error"], "RECORD_MISSING")
	for _, name := range challenge["dns_names"].([]string) {
		z.dns.Add(name, challenge["dns_value"].(string))
	}
	require.Equal(t, true, z.write("domains/example.com/verify", nil).Data["validated"])
}

func TestADomainIsValidatedByAFile(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com", Records: []string{"@ A 127.0.0.1"}})
	files := map[string]string{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(files[r.URL.Path])) }))
	defer web.Close()
	z.ca.Configure(func(ca *certinexttest.Server) { ca.HTTPPort = web.Listener.Addr().(*net.TCPAddr).Port })

	data := z.write("domains/example.com", map[string]any{"organization_number": certinexttest.DefaultOrganization, "dcv_method": "http-url"}).Data
	challenge := data["challenge"].(map[string]any)
	require.Equal(t, "http://example.com"+challenge["http_path"].(string), challenge["http_url"])
	files[challenge["http_path"].(string)] = challenge["http_content"].(string)
	require.Equal(t, true, z.write("domains/example.com/verify", nil).Data["validated"])
}

func TestADomainThatCannotBeRegisteredIsRefused(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	good := map[string]any{"organization_number": certinexttest.DefaultOrganization}
	for name, c := range map[string]struct {
		domain  string
		changes map[string]any
		text    string
	}{
		"no domain":                         {"localhost", nil, `name: "localhost" is not a domain name`},
		"no organization":                   {"example.com", map[string]any{"organization_number": ""}, "organization_number: is required"},
		"an unknown organization":           {"example.com", map[string]any{"organization_number": "7"}, "Invalid Organization Number"},
		"kept by nobody":                    {"example.com", map[string]any{"keep_validated": true}, "keep_validated: needs a dcv_solver"},
		"a solver that is not there":        {"example.com", map[string]any{"dcv_solver": "none"}, `dcv_solver: there is no solver "none": write it first (vault path-help certinext/dcv/solvers/none)`},
		"a solver for another method":       {"example.com", map[string]any{"dcv_solver": "corp", "dcv_method": "email"}, "dcv_solver: publishes DNS records"},
		"hosts that do not name the domain": {"example.com", map[string]any{"dcv_hosts": "_x.example.com"}, "dcv_hosts:"},
		"a moment before":                   {"example.com", map[string]any{"renew_before": "1m"}, "renew_before: must be between"},
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			maps.Copy(data, c.changes)
			require.Contains(t, z.refused("domains/"+c.domain, data), c.text)
		})
	}
	require.Contains(t, z.refused("domains/other.com/verify", nil), `no registered domain "other.com"`)

	v1 := newMount(t, &certinexttest.Server{Dialect: certinexttest.V1})
	require.Contains(t, v1.refused("domains/example.com", good), "cannot be registered by version 1 of the API")
}

func TestASolverThatADomainUsesIsNotDeleted(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.register("example.com", nil)
	z.must(call{op: logical.DeleteOperation, path: "roles/web"})
	resp, err := z.send(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "is used by the domain example.com")
}
