// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// A zone is what a domain's owner publishes: TXT records, and files that are
// served at 127.0.0.1, where every name points to.
type zone struct {
	mu    sync.Mutex
	txt   map[string][]string
	caa   map[string][]string // values such as `0 issue "emsign.com"`
	alias map[string]string
	files map[string]string
	hosts []string // Host headers of the file requests

	// asked, if set, runs once, before a TXT or CAA record is looked for.
	asked func()

	dns  string // host:port of its DNS server
	port int    // of its HTTP server
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{txt: make(map[string][]string), caa: make(map[string][]string), alias: make(map[string]string), files: make(map[string]string)}
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	z.dns = conn.LocalAddr().String()
	go z.serveDNS(conn)

	files := httptest.NewServer(http.HandlerFunc(z.serveFile))
	t.Cleanup(files.Close)
	u, err := url.Parse(files.URL)
	require.NoError(t, err)
	z.port, err = strconv.Atoi(u.Port())
	require.NoError(t, err)
	return z
}

func (z *zone) setTXT(name string, values ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.txt[name] = values
}

func (z *zone) setCAA(name string, values ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.caa[name] = values
}

func (z *zone) setAlias(name, target string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.alias[name] = target
}

// whenAsked runs f in the middle of the next look-up.
func (z *zone) whenAsked(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = f
}

func (z *zone) interrupt() {
	z.mu.Lock()
	f := z.asked
	z.asked = nil
	z.mu.Unlock()
	if f != nil {
		f()
	}
}

func (z *zone) setFile(path, content string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.files[path] = content
}

func (z *zone) serveFile(w http.ResponseWriter, r *http.Request) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.hosts = append(z.hosts, r.Host)
	content, ok := z.files[r.URL.Path]
	switch {
	case !ok:
		http.NotFound(w, r)
	case strings.HasPrefix(content, "redirect:"):
		http.Redirect(w, r, strings.TrimPrefix(content, "redirect:"), http.StatusFound)
	default:
		_, _ = w.Write([]byte(content))
	}
}

func (z *zone) serveDNS(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(buf[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		if out, err := z.answer(query).Pack(); err == nil {
			_, _ = conn.WriteTo(out, from)
		}
	}
}

// answer knows TXT and CAA records that were set and one A record for everything. It
// follows aliases as a recursive resolver does: they come before the records.
// Names below servfail.example fail.
func (z *zone) answer(query dnsmessage.Message) *dnsmessage.Message {
	q := query.Questions[0]
	if q.Type != dnsmessage.TypeA {
		z.interrupt()
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	reply := &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: query.Questions,
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	owner := q.Name
	for q.Type != dnsmessage.TypeA && z.alias[name] != "" {
		name = z.alias[name]
		target := dnsmessage.MustNewName(name + ".")
		reply.Answers = append(reply.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: owner, Type: dnsmessage.TypeCNAME, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.CNAMEResource{CNAME: target},
		})
		owner = target
	}
	header := dnsmessage.ResourceHeader{Name: owner, Type: q.Type, Class: q.Class, TTL: 1}
	switch {
	case strings.HasSuffix(name, "servfail.example"):
		reply.RCode = dnsmessage.RCodeServerFailure
	case q.Type == dnsmessage.Type(dns.TypeCAA):
		for _, v := range z.caa[name] {
			rr, err := dns.NewRR(". 1 IN CAA " + v)
			if err != nil {
				panic(err)
			}
			caa := rr.(*dns.CAA)
			data := slices.Concat([]byte{caa.Flag, byte(len(caa.Tag))}, []byte(caa.Tag+caa.Value))
			reply.Answers = append(reply.Answers, dnsmessage.Resource{
				Header: header, Body: &dnsmessage.UnknownResource{Type: q.Type, Data: data},
			})
		}
	case q.Type == dnsmessage.TypeA:
		reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}})
	case q.Type == dnsmessage.TypeTXT && len(z.txt[name]) == 0:
		reply.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeTXT:
		for _, v := range z.txt[name] {
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{v}}})
		}
	}
	return reply
}
