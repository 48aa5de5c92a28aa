// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// rfc2136Kind is every DNS server that takes dynamic updates, such as BIND, Knot, PowerDNS and
// Microsoft's.
var rfc2136Kind = Kind{
	Name: "rfc2136",
	Fields: []Field{
		{
			Name: "server", Required: true,
			Description: "Server that takes the updates, as host or host:port.",
		},
		{
			Name: "tsig_key_name", Required: true, Credential: true,
			Description: "Name of the TSIG key.",
		},
		{
			Name: "tsig_algorithm", Default: "hmac-sha256",
			Description: "hmac-sha256 (the default), hmac-sha224, hmac-sha384, hmac-sha512 or " +
				"hmac-sha1.",
		},
		{
			Name: "tsig_secret", Required: true, Credential: true, Secret: true,
			Description: "Secret of the TSIG key, in base64 as in the server's key file.",
		},
	},
	open: openRFC2136,
}

func openRFC2136(s Settings) (Provider, error) {
	algorithm := strings.TrimSuffix(strings.ToLower(s.Values["tsig_algorithm"]), ".")
	switch algorithm {
	case "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512":
	default:
		return nil, &SettingError{
			Field: "tsig_algorithm",
			Problem: "is not one of hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512 and " +
				"hmac-sha1",
		}
	}
	if _, err := base64.StdEncoding.DecodeString(s.Values["tsig_secret"]); err != nil {
		return nil, &SettingError{Field: "tsig_secret", Problem: "is not base64"}
	}
	server, err := Address(s.Values["server"], "53")
	if err != nil {
		return nil, &SettingError{Field: "server", Problem: err.Error()}
	}
	return &updates{
		server: server, key: dns.CanonicalName(s.Values["tsig_key_name"]),
		algorithm: dns.Fqdn(algorithm), secret: s.Values["tsig_secret"],
	}, nil
}

// updates sends signed DNS updates (RFC 2136) to one server, each over a connection of its own. An
// update names the record that it adds or removes, so the server compares, and not this program.
type updates struct {
	server, key, algorithm, secret string // key and algorithm with the final dot
}

// Publish sends one update that adds the record.
func (u *updates) Publish(ctx context.Context, r Record, ttl time.Duration) error {
	m := new(dns.Msg).SetUpdate(r.Zone)
	m.Insert([]dns.RR{txtRecord(r, ttl)})
	return u.send(ctx, m)
}

// Remove sends one update that removes the record.
func (u *updates) Remove(ctx context.Context, r Record) error {
	m := new(dns.Msg).SetUpdate(r.Zone)
	m.Remove([]dns.RR{txtRecord(r, 0)})
	return u.send(ctx, m)
}

// maxTTL is the longest time to live of a record (RFC 2181, section 8).
const maxTTL = math.MaxInt32 * time.Second

// txtRecord escapes the value, since dns takes it in the form of a zone file.
func txtRecord(r Record, ttl time.Duration) *dns.TXT {
	value := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(r.Value)
	seconds := uint32(min(max(ttl, 0), maxTTL) / time.Second)
	return &dns.TXT{
		Hdr: dns.RR_Header{
			Name: r.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: seconds,
		},
		Txt: []string{value},
	}
}

// updatePatience is how long a server may take for one update.
const updatePatience = 10 * time.Second

func (u *updates) send(ctx context.Context, m *dns.Msg) error {
	m.SetTsig(u.key, u.algorithm, 300, time.Now().Unix())
	client := &dns.Client{
		Net: "tcp", Timeout: updatePatience, TsigSecret: map[string]string{u.key: u.secret},
	}
	conn, err := client.DialContext(ctx, u.server)
	if err != nil {
		return fmt.Errorf("%s: %w", u.server, err)
	}
	defer func() { _ = conn.Close() }()
	// An exchange heeds the deadline of its context, and not its end.
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	answer, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	switch {
	case errors.Is(err, dns.ErrAuth), err == nil && answer.Rcode == dns.RcodeNotAuth:
		// NOTAUTH stands for both (RFC 8945 §5.2, RFC 2136 §2.2).
		return fmt.Errorf("%s answered NOTAUTH: it does not know the TSIG key %s or this secret "+
			"of it, or is not authoritative for the zone", u.server, bare(u.key))
	case err != nil:
		return fmt.Errorf("%s: %w", u.server, err)
	case answer.Rcode != dns.RcodeSuccess:
		return fmt.Errorf("%s answered %s%s",
			u.server, dns.RcodeToString[answer.Rcode], extendedError(answer))
	}
	return nil
}

// extendedError returns what a server says beside its code (RFC 8914).
func extendedError(answer *dns.Msg) string {
	var said string
	if opt := answer.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				said += fmt.Sprintf(": %s %q", dns.ExtendedErrorCodeToString[e.InfoCode],
					e.ExtraText)
			}
		}
	}
	return said
}
