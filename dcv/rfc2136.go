// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/libdns/libdns"
	"github.com/libdns/rfc2136"
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
	return &updates{Provider: rfc2136.Provider{
		KeyName: strings.ToLower(s.Values["tsig_key_name"]), KeyAlg: algorithm,
		Key: s.Values["tsig_secret"], Server: server,
	}}, nil
}

// updates is libdns's provider with errors that say what is wrong.
type updates struct{ rfc2136.Provider }

// AppendRecords sends one signed update that adds the records.
func (u *updates) AppendRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	out, err := u.Provider.AppendRecords(ctx, zone, records)
	return out, u.explained(err)
}

// DeleteRecords sends one signed update that removes the records.
func (u *updates) DeleteRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	out, err := u.Provider.DeleteRecords(ctx, zone, records)
	return out, u.explained(err)
}

func (u *updates) explained(err error) error {
	if errors.Is(err, dns.ErrAuth) {
		// NOTAUTH stands for both (RFC 8945 §5.2, RFC 2136 §2.2).
		return fmt.Errorf("%s answered NOTAUTH: it does not know the TSIG key %s or this secret "+
			"of it, or is not authoritative for the zone: %w",
			u.Server, u.KeyName, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", u.Server, err)
	}
	return nil
}
