// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// A zone is what the owner of all domains publishes: TXT records by name, and files by path.
type zone struct {
	mu         sync.Mutex
	txt, files map[string]string

	resolver string // host:port of its DNS server
	port     int    // of its web server
}

func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{txt: map[string]string{}, files: map[string]string{}}
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	go z.serve(conn)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z.mu.Lock()
		defer z.mu.Unlock()
		_, _ = w.Write([]byte(z.files[r.URL.Path]))
	}))
	t.Cleanup(web.Close)
	_, port, _ := strings.Cut(web.Listener.Addr().String(), ":")
	z.resolver = conn.LocalAddr().String()
	z.port, err = strconv.Atoi(port)
	require.NoError(t, err)
	return z
}

func (z *zone) publish(record, value, path, content string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.txt[record], z.files[path] = value, content
}

func (z *zone) serve(conn net.PacketConn) {
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

func (z *zone) answer(query dnsmessage.Message) *dnsmessage.Message {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := query.Questions[0]
	m := &dnsmessage.Message{
		Header: dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true}, Questions: query.Questions,
	}
	header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}
	switch value := z.txt[strings.TrimSuffix(q.Name.String(), ".")]; {
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
	case q.Type == dnsmessage.TypeTXT && value != "":
		m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.TXTResource{TXT: []string{value}}}}
	case q.Type == dnsmessage.TypeTXT:
		m.RCode = dnsmessage.RCodeNameError
	}
	return m
}
