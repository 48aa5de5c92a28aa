// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// A zone is a DNS server on loopback that answers for the TXT records in it.
type zone struct {
	address string

	mu      sync.Mutex
	records map[string]string // by name, without the last dot
}

func newZone(t *testing.T) *zone {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	z := &zone{address: conn.LocalAddr().String(), records: make(map[string]string)}
	go func() {
		query := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			if answer := z.answer(query[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return z
}

func (z *zone) publish(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records[strings.ToLower(name)] = value
}

// answer returns nil for what is no question.
func (z *zone) answer(query []byte) []byte {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	z.mu.Lock()
	value, known := z.records[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	z.mu.Unlock()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: header.ID, Response: true, Authoritative: true, RecursionDesired: header.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeTXT:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
			Body:   &dnsmessage.TXTResource{TXT: []string{value}},
		}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

func TestADomainThatIsNotValidatedIsValidatedOnTheWay(t *testing.T) {
	t.Parallel()
	for _, dialect := range allDialects {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			dns := newZone(t)
			ca := newAuthority(t, &certinexttest.Server{Dialect: dialect, Resolver: dns.address})
			v := startVault(t)
			v.configure(ca)
			request := map[string]any{"common_name": "www.example.com"}

			reason := v.refused("certinext/issue/web", request)
			id := orderID.FindString(reason)
			require.NotEmpty(t, id, reason)
			require.Contains(t, reason, "www.example.com")
			require.Contains(t, reason, "orders/web/"+id+"/dcv", "the answer does not say where to go on")

			path := "certinext/orders/web/" + id + "/dcv"
			challenge := onlyDomain(t, v.read(path))
			require.Equal(t, "www.example.com", challenge["domain"])
			require.Equal(t, false, challenge["verified"])
			value := text(t, challenge["dns_value"])
			names := texts(challenge["dns_names"])
			require.Contains(t, names, "_emudhra-challenge.www.example.com")

			early := onlyDomain(t, v.write(path, nil).Data)
			require.Equal(t, false, early["verified"])
			require.NotEmpty(t, early["error"], "nothing is published yet")

			for _, name := range names {
				dns.publish(name, value)
			}
			require.Equal(t, true, onlyDomain(t, v.write(path, nil).Data)["verified"])

			resp := v.write("certinext/issue/web", request)
			ca.check(t, resp)
			require.Equal(t, id, resp.Data["order_id"])
			require.Equal(t, 1, ca.onlyOrder(t).Creates)
		})
	}
}

func onlyDomain(t *testing.T, data map[string]any) map[string]any {
	t.Helper()
	domains, ok := data["domains"].([]any)
	require.True(t, ok)
	require.Len(t, domains, 1)
	return domains[0].(map[string]any)
}
