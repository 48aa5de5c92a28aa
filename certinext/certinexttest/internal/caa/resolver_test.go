// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serve answers at a loopback address, by UDP and TCP, until the test ends.
func serve(t *testing.T, answer func(w dns.ResponseWriter, query *dns.Msg)) string {
	t.Helper()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	stream, err := net.Listen("tcp", packets.LocalAddr().String())
	require.NoError(t, err)
	for _, s := range []*dns.Server{
		{PacketConn: packets, Handler: dns.HandlerFunc(answer)}, {Listener: stream, Handler: dns.HandlerFunc(answer)},
	} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return packets.LocalAddr().String()
}

func rr(t *testing.T, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	require.NoError(t, err)
	return r
}

// zone answers from lines of a zone file, as an authoritative server does that follows no alias.
func zone(t *testing.T, lines ...string) func(dns.ResponseWriter, *dns.Msg) {
	t.Helper()
	var all []dns.RR
	for _, l := range lines {
		all = append(all, rr(t, l))
	}
	return func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		reply.Rcode = dns.RcodeNameError
		for _, r := range all {
			if !strings.EqualFold(r.Header().Name, query.Question[0].Name) {
				continue
			}
			reply.Rcode = dns.RcodeSuccess
			if typ := r.Header().Rrtype; typ == dns.TypeCAA || typ == dns.TypeCNAME {
				reply.Answer = append(reply.Answer, r)
			}
		}
		_ = w.WriteMsg(reply)
	}
}

func TestResolver(t *testing.T) {
	addr := serve(t, zone(t,
		`plain.test. CAA 0 issue "ca.test; a=b"`, `plain.test. CAA 128 tbs "x"`,
		`alias.test. CNAME plain.test.`, `far.test. CNAME alias.test.`, `nowhere.test. CNAME missing.test.`,
		`bare.test. CNAME empty.test.`, `empty.test. A 127.0.0.1`,
		`loop.test. CNAME pool.test.`, `pool.test. CNAME loop.test.`, `self.test. CNAME self.test.`,
	))
	r := &Resolver{Servers: []string{addr}, Timeout: 5 * time.Second}
	plain := []Record{{false, "issue", "ca.test; a=b"}, {true, "tbs", "x"}}
	for name, want := range map[string][]Record{
		"plain.test": plain, "PLAIN.test.": plain, "alias.test": plain, "far.test": plain,
		"nowhere.test": nil, "bare.test": nil, "empty.test": nil, "missing.test": nil,
	} {
		records, err := r.Lookup(t.Context(), name)
		require.NoError(t, err, name)
		assert.Equal(t, want, records, name)
	}
	for _, name := range []string{"loop.test", "self.test"} {
		_, err := r.Lookup(t.Context(), name)
		require.Error(t, err, "%s: an alias that does not end tells nothing", name)
	}
}

// A recursive server answers with the alias and what is behind it.
func TestResolverReadsAnswersOfRecursiveServers(t *testing.T) {
	asked := 0
	addr := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		asked++
		reply := new(dns.Msg).SetReply(query)
		switch query.Question[0].Name {
		case "www.test.":
			reply.Answer = []dns.RR{rr(t, `WWW.test. CNAME host.test.`), rr(t, `host.test. CNAME cdn.test.`), rr(t, `cdn.test. CAA 0 issue "ca.test"`)}
		default:
			reply.Answer = []dns.RR{rr(t, `bare.test. CNAME host.test.`)}
			reply.Ns = []dns.RR{rr(t, `test. SOA ns.test. a.test. 1 1 1 1 1`)}
		}
		_ = w.WriteMsg(reply)
	})
	r := &Resolver{Servers: []string{addr}, Timeout: 5 * time.Second}
	records, err := r.Lookup(t.Context(), "www.test")
	require.NoError(t, err)
	require.Equal(t, []Record{{false, "issue", "ca.test"}}, records)
	records, err = r.Lookup(t.Context(), "bare.test")
	require.NoError(t, err)
	require.Empty(t, records)
	require.Equal(t, 2, asked, "an answer that says that there is nothing is not asked for again")
}

func TestResolverRetries(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	addr := serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		name := query.Question[0].Name
		mu.Lock()
		asked[name]++
		first := asked[name] == 1
		mu.Unlock()
		reply := new(dns.Msg).SetReply(query)
		switch {
		case name == "down.test." || (name == "flaky.test." && first):
			reply.Rcode = dns.RcodeServerFailure
		case name == "refused.test.":
			reply.Rcode = dns.RcodeRefused
		case name == "silent.test." || (name == "lossy.test." && first):
			return
		case name == "long.test." && w.LocalAddr().Network() == "udp":
			reply.Truncated = true
		case name == "long.test.":
			reply.Answer = []dns.RR{rr(t, `long.test. CAA 0 issue ";"`)}
		}
		_ = w.WriteMsg(reply)
	})
	r := &Resolver{Servers: []string{addr}, Timeout: 200 * time.Millisecond}
	for name, fails := range map[string]bool{
		"flaky.test": false, "lossy.test": false, "down.test": true, "refused.test": true, "silent.test": true,
	} {
		records, err := r.Lookup(t.Context(), name)
		assert.Equal(t, fails, err != nil, "%s: %v", name, err)
		assert.Empty(t, records)
		mu.Lock()
		assert.Equal(t, 2, asked[name+"."], name)
		mu.Unlock()
	}
	records, err := r.Lookup(t.Context(), "long.test")
	require.NoError(t, err)
	require.Equal(t, []Record{{false, "issue", ";"}}, records, "what is cut off is asked for by TCP")

	dead := &Resolver{Servers: []string{"127.0.0.1:1", addr}, Timeout: 200 * time.Millisecond}
	_, err = dead.Lookup(t.Context(), "other.test")
	require.NoError(t, err, "the next server is asked")
	_, err = new(Resolver).Lookup(t.Context(), "other.test")
	require.ErrorIs(t, err, errNoServer)
}
