// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package dcvtest starts real DNS servers for tests: BIND's named on loopback, with zones that take
// updates signed by a TSIG key. Begin with [Start]; [Server.Secondary] starts another server that
// lags behind.
//
// A test that needs a server is skipped where BIND is not installed.
package dcvtest

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A Zone is what a server is authoritative for.
type Zone struct {
	Name string // without the final dot
	// Records are lines of the zone file, with names relative to the zone.
	Records []string
	// Closed refuses every update.
	Closed bool
}

// A Server is a running named.
type Server struct {
	Addr string // host:port, for UDP and TCP
	// The key that signs updates and transfers.
	KeyName, KeySecret string

	t     testing.TB
	zones []Zone
}

// KeyAlgorithm is that of every server's key.
const KeyAlgorithm = "hmac-sha256"

// Start starts a server on a free port of 127.0.0.1. It ends with the test.
func Start(t testing.TB, zones ...Zone) *Server {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", zones...)
}

// StartAt starts a server on an address; port 0 stands for a free one.
func StartAt(t testing.TB, addr string, zones ...Zone) *Server {
	t.Helper()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // does not fail
	s := &Server{
		t: t, Addr: freeAddress(t, addr), KeyName: "vault",
		KeySecret: base64.StdEncoding.EncodeToString(secret), zones: zones,
	}
	dir := t.TempDir()
	var config strings.Builder
	for _, z := range zones {
		file := filepath.Join(dir, z.Name+".zone")
		write(t, file, s.zoneFile(z))
		update := "allow-update { key " + s.KeyName + "; };"
		if z.Closed {
			update = ""
		}
		fmt.Fprintf(
			&config,
			"zone %q { type primary; file %q; notify no; allow-transfer { key %s; }; %s };\n",
			z.Name, file, s.KeyName, update,
		)
	}
	s.run(dir, config.String())
	return s
}

// Secondary starts another server for the zones of s, on a free port. It asks s for changes every
// two seconds or so, and is not told of them.
func (s *Server) Secondary() *Server {
	s.t.Helper()
	other := &Server{
		t: s.t, Addr: freeAddress(s.t, "127.0.0.1:0"), KeyName: s.KeyName, KeySecret: s.KeySecret,
		zones: s.zones,
	}
	dir := s.t.TempDir()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	var config strings.Builder
	for _, z := range s.zones {
		fmt.Fprintf(&config, "zone %q { type secondary; file %q; masterfile-format text; "+
			"notify no; primaries { %s port %s key %s; }; "+
			"min-refresh-time 2; max-refresh-time 2; };\n",
			z.Name, filepath.Join(dir, z.Name+".copy"), host, port, s.KeyName)
	}
	other.run(dir, config.String())
	return other
}

// zoneFile has a server name for the zone whose address is that of s.
func (s *Server) zoneFile(z Zone) string {
	host, _, _ := net.SplitHostPort(s.Addr)
	lines := []string{
		"$TTL 60",
		"@ IN SOA ns1 hostmaster 1 2 2 3600 1",
		"@ IN NS ns1",
		"ns1 IN A " + host,
	}
	return strings.Join(append(lines, z.Records...), "\n") + "\n"
}

// run starts named and waits until it answers for all zones.
func (s *Server) run(dir, zones string) {
	s.t.Helper()
	named, err := find("named")
	if err != nil {
		s.t.Skip("needs BIND: apt-get install bind9")
	}
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	// The whole of the DNS: what no zone of the server holds does not exist, which is quicker to
	// find out than on the Internet.
	root := filepath.Join(dir, "root.zone")
	write(s.t, root, "$TTL 60\n"+
		"@ IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 1\n"+
		"@ IN NS ns.invalid.\n"+
		"ns.invalid. IN A 127.0.0.1\n")
	config := filepath.Join(dir, "named.conf")
	write(s.t, config, fmt.Sprintf(`options {
	directory %[1]q; managed-keys-directory %[1]q; pid-file none; session-keyfile none;
	listen-on port %[2]s { %[3]s; }; listen-on-v6 { none; };
	recursion yes; allow-query { any; }; dnssec-validation no; empty-zones-enable no;
	minimal-responses no;
};
key %[4]s { algorithm %[5]s; secret %[6]q; };
controls { };
zone "." { type primary; file %[8]q; };
%[7]s`, dir, port, host, s.KeyName, KeyAlgorithm, s.KeySecret, zones, root))
	var output bytes.Buffer
	cmd := exec.Command(named, "-g", "-n", "1", "-c", config) //nolint:noctx // ended below
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { defer close(exited); _ = cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if s.t.Failed() {
			s.t.Logf("named at %s:\n%s", s.Addr, output.String())
		}
	})
	for end := time.Now().Add(20 * time.Second); ; {
		if s.ready() {
			return
		}
		select {
		case <-exited:
			s.t.Fatalf("named has ended:\n%s", output.String())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			s.t.Fatal("named does not answer for its zones")
		}
	}
}

func (s *Server) ready() bool {
	for _, z := range s.zones {
		answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(z.Name), dns.TypeSOA), s.Addr)
		if err != nil || answer.Rcode != dns.RcodeSuccess || len(answer.Answer) == 0 {
			return false
		}
	}
	return true
}

// TXT returns the values of the TXT records at a name.
func (s *Server) TXT(name string) []string {
	s.t.Helper()
	answer, err := dns.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeTXT), s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	var values []string
	for _, rr := range answer.Answer {
		if txt, ok := rr.(*dns.TXT); ok {
			values = append(values, strings.Join(txt.Txt, ""))
		}
	}
	return values
}

// Challenges returns all TXT records of a zone, as "name value", by a zone transfer.
func (s *Server) Challenges(zone string) []string {
	s.t.Helper()
	m := new(dns.Msg).SetAxfr(dns.Fqdn(zone))
	m.SetTsig(dns.Fqdn(s.KeyName), dns.Fqdn(KeyAlgorithm), 300, time.Now().Unix())
	transfer := &dns.Transfer{TsigSecret: map[string]string{dns.Fqdn(s.KeyName): s.KeySecret}}
	envelopes, err := transfer.In(m, s.Addr)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for e := range envelopes {
		if e.Error != nil {
			s.t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if txt, ok := rr.(*dns.TXT); ok {
				out = append(
					out, strings.TrimSuffix(txt.Hdr.Name, ".")+" "+strings.Join(txt.Txt, ""),
				)
			}
		}
	}
	return out
}

// Settings are those of a solver that publishes at s.
func (s *Server) Settings() map[string]any {
	return map[string]any{
		"provider": "rfc2136", "server": s.Addr, "tsig_key_name": s.KeyName,
		"tsig_algorithm": KeyAlgorithm, "tsig_secret": s.KeySecret,
	}
}

// find looks where Debian keeps servers, too, which is not on everybody's PATH.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	return exec.LookPath("/usr/sbin/" + program)
}

// freeAddress fills in the port of an address, one that is free for UDP and TCP.
func freeAddress(t testing.TB, addr string) string {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", addr) //nolint:noctx // closed at once
		if err != nil {
			t.Skipf("this machine does not let a test listen on %s: %v", addr, err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String()) //nolint:noctx // closed at once
		_ = tcp.Close()
		if err == nil {
			_ = udp.Close()
			return tcp.Addr().String()
		}
	}
	t.Fatal("no port is free for both UDP and TCP")
	return ""
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Add adds a TXT record, as somebody else would who may change the zone.
func (s *Server) Add(name, value string) {
	s.t.Helper()
	zone := ""
	for _, z := range s.zones {
		if dns.IsSubDomain(dns.Fqdn(z.Name), dns.Fqdn(name)) && len(z.Name) > len(zone) {
			zone = z.Name
		}
	}
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	m.Insert([]dns.RR{&dns.TXT{
		Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1},
		Txt: []string{value},
	}})
	m.SetTsig(dns.Fqdn(s.KeyName), dns.Fqdn(KeyAlgorithm), 300, time.Now().Unix())
	client := &dns.Client{
		Net: "tcp", TsigSecret: map[string]string{dns.Fqdn(s.KeyName): s.KeySecret},
	}
	answer, _, err := client.Exchange(m, s.Addr)
	if err != nil || answer.Rcode != dns.RcodeSuccess {
		s.t.Fatalf("adding %s: %v %v", name, answer, err)
	}
}
