// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/stretchr/testify/require"
)

func solverAt(t *testing.T, s *dcvtest.Server, changes map[string]string) *dcv.Solver {
	t.Helper()
	values := map[string]string{"server": s.Addr, "tsig_key_name": s.KeyName, "tsig_secret": s.KeySecret}
	for k, v := range changes {
		values[k] = v
	}
	p, err := dcv.Open("rfc2136", dcv.Settings{Values: values})
	require.NoError(t, err)
	return &dcv.Solver{Provider: p}
}

func TestARecordIsPublishedBesideOthersSeenAndRemoved(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test", Records: []string{`_challenge.www TXT "of somebody else"`}})
	solver, servers := solverAt(t, s, nil), []dcv.Nameserver{{Address: s.Addr}}
	r := dcv.Record{Name: "_challenge.www.example.test.", Zone: "example.test.", Value: "token-1"}

	require.NoError(t, solver.Publish(t.Context(), r))
	require.NoError(t, solver.Publish(t.Context(), r), "publishing twice is no harm")
	seen := dcv.Look(t.Context(), servers, r.Name, r.Value, 0)
	require.True(t, seen.Complete(), seen.String())
	require.ElementsMatch(t, []string{"of somebody else", "token-1"}, s.TXT(r.Name))

	require.NoError(t, solver.Remove(t.Context(), r))
	require.NoError(t, solver.Remove(t.Context(), r), "nor is removing twice")
	require.Equal(t, []string{"of somebody else"}, s.TXT(r.Name))
	seen = dcv.Look(t.Context(), servers, r.Name, r.Value, 0)
	require.True(t, seen.Gone())
	require.Equal(t, `looked for the TXT record _challenge.www.example.test with the value "token-1": `+s.Addr+` has "of somebody else"`, seen.String())
}

func TestAZoneIsFoundByItsSOARecord(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test", Records: []string{
		"sub NS ns1.sub", "ns1.sub A 127.0.0.1",
		"_challenge.away CNAME away.dyn.test.", "_challenge.twice CNAME _challenge.away",
		"_challenge.near CNAME near", "*.wild CNAME edge.dyn.test.",
		"_challenge.round CNAME round2", "round2 CNAME _challenge.round",
	}}, dcvtest.Zone{Name: "sub.example.test"}, dcvtest.Zone{Name: "dyn.test"})
	r := &dcv.Resolver{Servers: []string{s.Addr}}
	for name, c := range map[string]struct{ name, zone, target, in string }{
		"a name that does not exist":          {"_challenge.www.example.test", "", "_challenge.www.example.test.", "example.test."},
		"the zone itself":                     {"example.test", "", "example.test.", "example.test."},
		"a zone of its own below another":     {"_challenge.www.sub.example.test", "", "_challenge.www.sub.example.test.", "sub.example.test."},
		"delegated by two aliases":            {"_challenge.TWICE.example.test.", "dyn.test", "away.dyn.test.", "dyn.test."},
		"delegated within its zone":           {"_challenge.near.example.test", "", "near.example.test.", "example.test."},
		"an alias because all names are":      {"_challenge.wild.example.test", "", "_challenge.wild.example.test.", "example.test."},
		"in a zone that is given":             {"_challenge.www.example.test", "Example.Test", "_challenge.www.example.test.", "example.test."},
		"delegated to the zone that is given": {"_challenge.away.example.test", "dyn.test", "away.dyn.test.", "dyn.test."},
	} {
		t.Run(name, func(t *testing.T) {
			target, zone, err := r.Locate(t.Context(), c.name, c.zone)
			require.NoError(t, err)
			require.Equal(t, []string{c.target, c.in}, []string{target, zone})
		})
	}
	for name, c := range map[string]struct{ name, zone, text string }{
		"no zone is found": {"_challenge.www.example.org", "", "no DNS zone was found for _challenge.www.example.org: no name above it has an SOA record"},
		"a delegation to a zone that nobody has named": {
			"_challenge.away.example.test", "",
			"_challenge.away.example.test is an alias of away.dyn.test in another zone, dyn.test: name that as the solver's zone",
		},
		"a delegation out of the zone that is given": {
			"_challenge.away.example.test", "example.test",
			"no DNS zone was found for away.dyn.test: it is not in the zone example.test that the solver is for",
		},
		"aliases that go round": {"_challenge.round.example.test", "", "looking up CNAME _challenge.round.example.test at several servers: its aliases go round in a circle"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.Locate(t.Context(), c.name, c.zone)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestNameserversAreThoseThatTheZoneNames(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test", Records: []string{"@ NS ns2", "ns2 A 127.0.0.2", "@ NS nowhere.invalid."}})
	r := &dcv.Resolver{Servers: []string{s.Addr}}
	servers, err := r.Authoritative(t.Context(), "example.test.")
	require.NoError(t, err)
	require.ElementsMatch(t, []dcv.Nameserver{
		{Name: "ns1.example.test.", Address: "127.0.0.1:53"}, {Name: "ns2.example.test.", Address: "127.0.0.2:53"},
	}, servers, "one that has no address cannot be asked")
}

func TestAResolverThatIsAwayIsPassedOver(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test"})
	r := &dcv.Resolver{Servers: []string{"127.0.0.1:9", s.Addr}, Patience: time.Second}
	zone, err := r.Zone(t.Context(), "www.example.test")
	require.NoError(t, err)
	require.Equal(t, "example.test.", zone)

	_, err = (&dcv.Resolver{Servers: []string{"127.0.0.1:9"}, Patience: time.Second}).Zone(t.Context(), "www.example.test")
	var none *dcv.NoZoneError
	require.ErrorAs(t, err, &none)
	require.ErrorContains(t, err, "127.0.0.1:9: ")
}

func TestWhatAServerRefusesIsSaid(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test"}, dcvtest.Zone{Name: "closed.test", Closed: true})
	other := base64.StdEncoding.EncodeToString([]byte("some other secret of 32 bytes...."))
	r := dcv.Record{Name: "_challenge.example.test.", Zone: "example.test.", Value: "token"}
	for name, c := range map[string]struct {
		changes map[string]string
		record  dcv.Record
		text    string
	}{
		"a secret that is wrong":   {map[string]string{"tsig_secret": other}, r, "publishing the TXT record _challenge.example.test in the zone example.test: " + s.Addr + " answered NOTAUTH: it does not know the TSIG key vault or this secret of it"},
		"a key that is unknown":    {map[string]string{"tsig_key_name": "nobody"}, r, "it does not know the TSIG key nobody"},
		"a zone that is closed":    {nil, dcv.Record{Name: "_challenge.closed.test.", Zone: "closed.test.", Value: "token"}, "REFUSED"},
		"a zone of another server": {nil, dcv.Record{Name: "_challenge.example.org.", Zone: "example.org.", Value: "token"}, "NOTAUTH"},
	} {
		t.Run(name, func(t *testing.T) {
			err := solverAt(t, s, c.changes).Publish(t.Context(), c.record)
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), other)
		})
	}
}

func TestServersThatDisagree(t *testing.T) {
	s := dcvtest.Start(t, dcvtest.Zone{Name: "example.test"})
	late := s.Secondary()
	servers := []dcv.Nameserver{{Address: s.Addr}, {Address: late.Addr}}
	r := dcv.Record{Name: "_challenge.example.test.", Zone: "example.test.", Value: "token"}
	require.NoError(t, solverAt(t, s, nil).Publish(t.Context(), r))

	seen := dcv.Look(t.Context(), servers, r.Name, r.Value, 0)
	require.True(t, seen.Somewhere())
	require.False(t, seen.Complete(), "the second server is not told of changes")
	require.False(t, seen.Gone())
	require.Contains(t, seen.String(), late.Addr+" answered NXDOMAIN")
	require.Eventually(t, func() bool {
		return dcv.Look(t.Context(), servers, r.Name, r.Value, 0).Complete()
	}, 15*time.Second, 100*time.Millisecond)
}

func TestNobodyToAskHasSeenNothing(t *testing.T) {
	none := dcv.Look(t.Context(), nil, "x.example.test", "v", 0)
	require.False(t, none.Complete())
	require.False(t, none.Gone())
	away := dcv.Look(t.Context(), []dcv.Nameserver{{Address: "127.0.0.1:9"}}, "x.example.test", "v", time.Second)
	require.False(t, away.Complete())
	require.False(t, away.Gone(), "a server that does not answer does not show that it is gone")
}

func TestAnAddressIsCompleted(t *testing.T) {
	for server, want := range map[string]string{
		"ns1.example.com": "ns1.example.com:53", "ns1.example.com:5353": "ns1.example.com:5353", "192.0.2.1": "192.0.2.1:53",
		"2001:db8::1": "[2001:db8::1]:53", "[2001:db8::1]": "[2001:db8::1]:53", "[2001:db8::1]:5353": "[2001:db8::1]:5353",
		"": "", ":53": "", "host:": "", "host:dns": "", "https://ns1.example.com/": "", "user@host": "", "a:b:c": "",
	} {
		got, err := dcv.Address(server, "53")
		require.Equal(t, want, got, server)
		require.Equal(t, want == "", err != nil, server)
	}
}
