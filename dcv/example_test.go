// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

const (
	exampleKey    = "vault."
	exampleSecret = "c2VjcmV0LW9mLXRoZS1leGFtcGxl" // base64, as in the server's key file
)

// A nameserver stands in for the authoritative server of all zones. It takes updates of TXT records
// that are signed by exampleKey, and keeps them in memory.
type nameserver struct {
	mu      sync.Mutex
	records []*dns.TXT
}

// ServeDNS answers updates (RFC 2136) and questions.
func (n *nameserver) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	m := new(dns.Msg).SetReply(r)
	m.Authoritative = true
	switch {
	case r.Opcode == dns.OpcodeUpdate && (r.IsTsig() == nil || w.TsigStatus() != nil):
		m.Rcode = dns.RcodeNotAuth
	case r.Opcode == dns.OpcodeUpdate:
		for _, rr := range r.Ns {
			n.update(rr)
		}
		m.SetTsig(exampleKey, dns.HmacSHA256, 300, time.Now().Unix())
	default:
		for _, txt := range n.records {
			if txt.Hdr.Name == dns.CanonicalName(r.Question[0].Name) {
				m.Answer = append(m.Answer, txt)
			}
		}
	}
	_ = w.WriteMsg(m)
}

// update adds a record, or removes it when its class is NONE (RFC 2136, section 2.5.4).
func (n *nameserver) update(rr dns.RR) {
	txt, ok := rr.(*dns.TXT)
	if !ok {
		return
	}
	if txt.Hdr.Class == dns.ClassINET {
		n.records = append(n.records, txt)
		return
	}
	n.records = slices.DeleteFunc(n.records, func(r *dns.TXT) bool {
		return r.Hdr.Name == txt.Hdr.Name && slices.Equal(r.Txt, txt.Txt)
	})
}

// serve starts the server on a port of this machine. Updates come by TCP, questions by UDP.
func (n *nameserver) serve() (address string, stop func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = listener.Addr().String()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return "", nil, err
	}
	secrets := map[string]string{exampleKey: exampleSecret}
	tcp := &dns.Server{Listener: listener, Handler: n, TsigSecret: secrets}
	tcp.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
	udp := &dns.Server{PacketConn: conn, Handler: n}
	go func() { _ = tcp.ActivateAndServe() }()
	go func() { _ = udp.ActivateAndServe() }()
	return address, func() { _ = listener.Close(); _ = conn.Close() }, nil
}

// A record is published, looked for at the servers of its zone, and removed. A program that may die
// in between stores the record before it is published, and removes it when it is back.
func Example() {
	ctx := context.Background()
	address, stop, err := new(nameserver).serve()
	if err != nil {
		log.Fatal(err)
	}
	defer stop()

	provider, err := dcv.Open("rfc2136", dcv.Settings{Values: map[string]string{
		"server": address, "tsig_key_name": exampleKey, "tsig_secret": exampleSecret,
	}})
	if err != nil {
		log.Fatal(err) // a *dcv.SettingError names the setting that is wrong
	}
	solver := &dcv.Solver{Provider: provider}

	// A dcv.Resolver finds the zone of a name, and the servers of the zone.
	record := dcv.Record{
		Name:  dcv.Canonical("_emudhra-challenge.www.example.com"),
		Zone:  dcv.Canonical("example.com"),
		Value: "token-of-the-ca",
	}
	servers := []dcv.Nameserver{{Name: "ns1.example.com.", Address: address}}
	look := func() dcv.Sighting {
		return dcv.Look(ctx, servers, record.Name, record.Value, time.Second)
	}

	if err := solver.Publish(ctx, record); err != nil {
		log.Fatal(err)
	}
	fmt.Println("every server has it:", look().Complete()) // only now is the CA asked to look
	if err := solver.Remove(ctx, record); err != nil {
		log.Fatal(err)
	}
	fmt.Println("no server has it:", look().Gone())
	// Output:
	// every server has it: true
	// no server has it: true
}

// What is wrong with the settings of a provider is told by field, before anything is sent.
func ExampleOpen() {
	_, err := dcv.Open("rfc2136", dcv.Settings{Values: map[string]string{
		"server": "ns1.example.com", "tsig_key_name": "vault",
	}})
	fmt.Println(err)
	_, err = dcv.Open("hosts-file", dcv.Settings{})
	fmt.Println(strings.Split(err.Error(), ",")[0])
	// Output:
	// tsig_secret: is required by rfc2136
	// provider: is not one of azure
}
