// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

var everyDialect = []certinexttest.Dialect{certinexttest.Documented, certinexttest.Live, certinexttest.V1}

// onlyOrder returns the one order of a role.
func (z *zoned) onlyOrder(role string) map[string]any {
	z.t.Helper()
	ids := z.list("orders/" + role)
	require.Len(z.t, ids, 1)
	return z.read("orders/" + role + "/" + ids[0]).Data
}

func (z *zoned) story(role string) string {
	z.t.Helper()
	var lines []string
	for _, e := range z.onlyOrder(role)["timeline"].([]map[string]any) {
		lines = append(lines, e["what"].(string))
	}
	return strings.Join(lines, "\n")
}

// requireClean fails the test when a record is left in a zone, or in the journal.
func (z *zoned) requireClean(zones ...string) {
	z.t.Helper()
	for _, zone := range zones {
		require.Empty(z.t, z.dns.Challenges(zone), "a record is left in %s", zone)
	}
	require.Empty(z.t, z.read("dcv/solvers/corp").Data["records"], "a record is left in the journal")
}

// die leaves storage as it is at this moment: what the process does from now on, nobody will read.
func (z *zoned) die() {
	z.t.Helper()
	left := new(logical.InmemStorage)
	for key, value := range z.storage.dump(z.t) {
		require.NoError(z.t, left.Put(z.t.Context(), &logical.StorageEntry{Key: key, Value: value}))
	}
	z.storage = counting(left)
}

func TestDomainsAreValidatedWithinTheRequest(t *testing.T) {
	example := dcvtest.Zone{Name: "example.com"}
	for name, c := range map[string]struct {
		zones   []dcvtest.Zone
		role    map[string]any
		request map[string]any
		names   []string
		zone    string // that the solver is for
	}{
		"a single name": {
			[]dcvtest.Zone{example},
			nil,
			map[string]any{"common_name": "www.example.com"},
			[]string{"www.example.com"},
			"",
		},
		"a wildcard": {
			[]dcvtest.Zone{example},
			map[string]any{"product_code": "843", "product_variant": "dv-wildcard"},
			map[string]any{"common_name": "*.example.com"},
			[]string{"*.example.com"},
			"",
		},
		"three domains in zones of their own": {
			[]dcvtest.Zone{example, {Name: "example.net"}, {Name: "example.org"}},
			map[string]any{"product_code": "844", "product_variant": "dv-ucc"},
			map[string]any{"common_name": "www.example.com", "alt_names": "example.net,a.b.example.org"},
			[]string{"www.example.com", "example.net", "a.b.example.org"},
			"",
		},
		"a wildcard and its apex": {
			[]dcvtest.Zone{example},
			map[string]any{"product_code": "845", "product_variant": "dv-wildcard-ucc"},
			map[string]any{"common_name": "*.example.com", "alt_names": "example.com"},
			[]string{"*.example.com", "example.com"},
			"",
		},
		"challenges that are delegated to another zone": {
			[]dcvtest.Zone{{Name: "example.com", Closed: true, Records: []string{
				"_emudhra-challenge.www CNAME www.acme.example.net.", "_emsign-validation.www CNAME www.acme.example.net.",
			}}, {Name: "example.net"}},
			nil,
			map[string]any{"common_name": "www.example.com"},
			[]string{"www.example.com"},
			"example.net",
		},
		"challenges that are delegated within their zone": {
			[]dcvtest.Zone{{Name: "example.com", Records: []string{
				"_emudhra-challenge.www CNAME www.acme", "_emsign-validation.www CNAME www.acme",
			}}},
			nil,
			map[string]any{"common_name": "www.example.com"},
			[]string{"www.example.com"},
			"",
		},
		"a wildcard alias, which delegates nothing": {
			[]dcvtest.Zone{{Name: "example.com", Records: []string{"* CNAME edge.example.net."}}, {Name: "example.net", Closed: true}},
			nil,
			map[string]any{"common_name": "www.example.com"},
			[]string{"www.example.com"},
			"",
		},
	} {
		for _, dialect := range everyDialect {
			t.Run(fmt.Sprintf("%s, %s", name, dialect), func(t *testing.T) {
				t.Parallel()
				z := newZoned(t, &certinexttest.Server{Dialect: dialect}, c.zones...)
				if c.role != nil {
					z.role("web", c.role)
				}
				z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"zone": c.zone}})
				resp := z.write("issue/web", c.request)
				require.ElementsMatch(t, c.names, z.chainOK(resp).DNSNames)
				require.Len(t, z.ca.Orders(), 1)
				for _, zone := range c.zones {
					z.requireClean(zone.Name)
				}
			})
		}
	}
}

func TestARecordSpreadsSlowly(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	late := z.dns.Secondary()
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_propagation_servers": z.dns.Addr + "," + late.Addr})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = late.Addr }) // CERTInext sees the slow server

	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	require.Equal(t, 1, z.ca.Calls()[certinexttest.OpVerifyDCV], "CERTInext is asked to look once all servers have the record")
	z.requireClean("example.com")
}

func TestARecordThatIsNeverSeenIsLookedForByCERTInextAllTheSame(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	other := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"}) // a view of the zone without the record
	z.role("web", map[string]any{
		"product_code": "842", "product_variant": "dv", "dcv_propagation_servers": other.Addr, "dcv_propagation_timeout": "2s",
	})
	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	z.requireClean("example.com")
}

func TestASolverThatFailsSaysWhyAndGoesOnOnceItIsMended(t *testing.T) {
	good := dcvtest.Zone{Name: "example.com"}
	for name, c := range map[string]struct {
		zone   dcvtest.Zone
		solver map[string]any // what is wrong with it
		name   string
		text   string
	}{
		"a TSIG secret that is wrong": {
			good,
			map[string]any{"tsig_secret": "c29tZSBvdGhlciBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4u"},
			"www.example.com",
			"the solver corp failed at publishing the TXT record _emudhra-challenge.www.example.com in the zone example.com: ",
		},
		"a server that is away": {good, map[string]any{"server": "127.0.0.1:9"}, "www.example.com", "connection refused"},
		"a zone that is not its": {
			good,
			map[string]any{"zone": "example.net"},
			"www.example.com",
			"no DNS zone was found for _emudhra-challenge.www.example.com: it is not in the zone example.net that the solver is for",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, new(certinexttest.Server), c.zone)
			z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: c.solver})
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "2s"})
			request := map[string]any{"common_name": c.name}
			text := z.refused("issue/web", request)
			require.Contains(t, text, c.text)
			require.Contains(t, text, "the solver tries again; vault read certinext/orders/web/")
			require.NotContains(t, text, "c29tZSBvdGhlciBzZWNyZXQ")
			order := z.onlyOrder("web")
			require.Equal(t, "operator", order["waits_for"])
			require.Contains(t, order["last_error"], c.text)

			settings := z.dns.Settings()
			z.write("dcv/solvers/corp", settings)
			z.later(time.Hour)
			z.pass() // nobody has to ask
			require.Equal(t, "issued", z.onlyOrder("web")["state"])
			resp := z.write("issue/web", request)
			z.chainOK(resp)
			require.Len(t, z.ca.Orders(), 1)
			z.requireClean("example.com")
		})
	}
}

func TestAnUpdateThatIsRefusedAndAZoneThatIsNowhere(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "closed.com", Closed: true})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "1s"})
	require.Contains(t, z.refused("issue/web", map[string]any{"common_name": "www.closed.com"}),
		`publishing the TXT record _emudhra-challenge.www.closed.com in the zone closed.com: `+z.dns.Addr+` answered REFUSED`)
	require.Contains(t, z.refused("issue/web", map[string]any{"common_name": "www.nowhere.com"}),
		"no DNS zone was found for _emudhra-challenge.www.nowhere.com: no name above it has an SOA record")
	// What may have been published is in the journal until its removal has worked.
	z.later(time.Hour)
	for _, id := range z.list("orders/web") {
		z.must(call{op: logical.DeleteOperation, path: "orders/web/" + id})
	}
	z.pass()
	records := z.read("dcv/solvers/corp").Data["records"].([]map[string]any)
	require.Len(t, records, 1)
	require.Contains(t, records[0]["last_error"], "REFUSED")
	resp, err := z.send(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "the role web")
	z.must(call{op: logical.DeleteOperation, path: "roles/web"})
	resp, err = z.send(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "has still to remove the TXT record _emudhra-challenge.www.closed.com in the zone closed.com, for order/web/")
	z.must(call{op: logical.DeleteOperation, path: "dcv/solvers/corp", data: map[string]any{"force": true}})
	require.Empty(t, z.list("dcv/solvers/"))
}

func TestARecordThatIsThereAlreadyStays(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_solver": ""})
	order := z.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data
	path := "orders/web/" + order["order_id"].(string) + "/dcv"
	challenge := z.read(path).Data["domains"].([]map[string]any)[0]
	var byHand []string
	late := z.dns.Secondary() // it asks for changes every two seconds
	for _, name := range challenge["dns_names"].([]string) {
		z.dns.Add(name, challenge["dns_value"].(string))
		byHand = append(byHand, name+" "+challenge["dns_value"].(string))
	}
	z.dns.Add("_emudhra-challenge.www.example.com", "of somebody else")

	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_propagation_servers": z.dns.Addr + "," + late.Addr})
	z.chainOK(z.write("issue/web", map[string]any{"common_name": "www.example.com"}))
	require.Len(t, z.ca.Orders(), 1)
	require.ElementsMatch(t, append(byHand, "_emudhra-challenge.www.example.com of somebody else"), z.dns.Challenges("example.com"),
		"what the solver has not published is not its to remove")
}

func TestAFailedValidationSaysWhatWasLookedForWhereAndWhatWasFound(t *testing.T) {
	for _, dialect := range everyDialect {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, &certinexttest.Server{Dialect: dialect}, dcvtest.Zone{Name: "example.com"})
			blind := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
			z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr }) // CERTInext sees another view
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "3s"})
			text := z.refused("issue/web", map[string]any{"common_name": "www.example.com"})
			require.Contains(t, text, "the solver corp validates control of www.example.com: CERTInext ")
			require.Contains(t, text, "looked for the TXT record _emudhra-challenge.www.example.com with the value ")
			require.Contains(t, text, ": "+z.dns.Addr+" has ")
			require.Equal(t, "dcv-solver", z.onlyOrder("web")["waits_for"])
			require.NotEmpty(t, z.dns.Challenges("example.com"), "the record stays as long as the order waits for it")

			z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = z.dns.Addr })
			z.later(time.Minute)
			z.pass()
			require.Equal(t, "issued", z.onlyOrder("web")["state"], z.onlyOrder("web"))
			z.requireClean("example.com")
		})
	}
}

func TestAChallengeThatHasExpiredIsMadeAnew(t *testing.T) {
	for _, dialect := range everyDialect {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, &certinexttest.Server{Dialect: dialect, ChallengeTTL: 3 * time.Second}, dcvtest.Zone{Name: "example.com"})
			blind := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
			z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr })
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "1s"})
			request := map[string]any{"common_name": "www.example.com"}
			z.refused("issue/web", request)
			before := z.dns.TXT("_emudhra-challenge.www.example.com")
			require.Len(t, before, 1)

			time.Sleep(3 * time.Second)
			z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver, ca.ChallengeTTL = z.dns.Addr, time.Hour })
			z.role("web", map[string]any{"product_code": "842", "product_variant": "dv"})
			z.chainOK(z.write("issue/web", request))
			z.requireClean("example.com")
		})
	}
}

func TestRecordsGoWhenTheOrderEndsOtherwise(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	blind := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr })
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "1s"})
	z.refused("issue/web", map[string]any{"common_name": "www.example.com"})
	require.NotEmpty(t, z.dns.Challenges("example.com"))

	order := z.onlyOrder("web")
	z.must(call{op: logical.DeleteOperation, path: "orders/web/" + order["order_id"].(string)})
	z.pass()
	z.requireClean("example.com")
}

// TestACrashLeavesNoLitter ends the plugin's process while CERTInext looks for the record. The crash matrix ends it at every step.
func TestACrashLeavesNoLitter(t *testing.T) {
	for name, goesOn := range map[string]bool{
		"the request comes again":  true,
		"the order ends meanwhile": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
			z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpVerifyDCV, Kind: certinexttest.FaultLatency, Delay: time.Minute, Times: 1})
			ctx, hangUp := context.WithCancel(t.Context())
			answered := make(chan struct{})
			request := map[string]any{"common_name": "www.example.com"}
			go func() {
				defer close(answered)
				_, _ = z.send(call{op: logical.UpdateOperation, path: "issue/web", data: request, ctx: ctx})
			}()
			require.Eventually(t, func() bool { return z.ca.Calls()[certinexttest.OpVerifyDCV] > 0 }, 10*time.Second, 5*time.Millisecond)
			require.NotEmpty(t, z.dns.Challenges("example.com"))
			z.die() // before it hears that its request has ended
			hangUp()
			<-answered
			z.start()
			require.NotEmpty(t, z.read("dcv/solvers/corp").Data["records"], "the journal has survived")

			if goesOn {
				z.chainOK(z.write("issue/web", request))
				require.Len(t, z.ca.Orders(), 1)
			} else {
				require.NoError(t, z.ca.Reject(z.ca.Orders()[0].ID, "not wanted"))
				z.later(time.Hour)
				z.pass()
				z.pass()
			}
			z.requireClean("example.com")
		})
	}
}

// A request that finds the order validated meanwhile has published nothing itself.
func TestRecordsGoWhenAnotherRequestGetsTheCertificate(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpVerifyDCV, Kind: certinexttest.FaultLatency, Delay: time.Minute, Times: 1})
	ctx, hangUp := context.WithCancel(t.Context())
	left := make(chan struct{})
	request := map[string]any{"common_name": "www.example.com"}
	go func() {
		defer close(left)
		_, _ = z.send(call{op: logical.UpdateOperation, path: "issue/web", data: request, ctx: ctx})
	}()
	require.Eventually(t, func() bool { return z.ca.Calls()[certinexttest.OpVerifyDCV] > 0 }, 10*time.Second, 5*time.Millisecond)
	hangUp()
	<-left
	require.NotEmpty(t, z.dns.Challenges("example.com"))
	z.ca.VerifyDomain("www.example.com")
	z.chainOK(z.write("issue/web", request))
	require.Len(t, z.ca.Orders(), 1)
	z.requireClean("example.com")
}

func TestTheOrderTellsItsStory(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	resp := z.write("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "ci/1"})
	require.NotEmpty(t, resp.Data["order_id"])
	story := z.story("web")
	for _, line := range []string{
		"the solver corp has published the TXT record _emudhra-challenge.www.example.com in the zone example.com",
		"the solver corp has published the TXT record _emsign-validation.www.example.com in the zone example.com",
		"CERTInext has validated control of www.example.com",
	} {
		require.Contains(t, story, line)
	}
}
