// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/libdns/cloudflare"
	"github.com/libdns/libdns"
)

var cloudflareKind = Kind{
	Name: "cloudflare",
	Fields: []Field{
		{
			Name: "api_token", Required: true, Credential: true, Secret: true,
			Description: "API token that may edit the DNS records of the zone (Zone:DNS:Edit); " +
				"not the global API key.",
		},
		{
			Name: "zone_token", Credential: true, Secret: true,
			Description: "API token that may find the zone (Zone:Zone:Read), where api_token may " +
				"not.",
		},
	},
	open: openCloudflare,
}

func openCloudflare(s Settings) (Provider, error) {
	return &cloudflareRecords{Provider: cloudflare.Provider{
		APIToken: s.Values["api_token"], ZoneToken: s.Values["zone_token"],
		HTTPClient: &http.Client{Timeout: 30 * time.Second},
	}}, nil
}

// cloudflareRecords is libdns's provider, with two differences: publishing a record twice is no
// error, and a record that was not removed is an error unless it certainly is not there.
type cloudflareRecords struct{ cloudflare.Provider }

// identicalRecord is Cloudflare's code for "An identical record already exists", as the provider
// spells it: its errors have no type.
const identicalRecord = "Code:81058 "

// AppendRecords adds records. A record that is there is no error.
func (c *cloudflareRecords) AppendRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	for _, r := range records {
		_, err := c.Provider.AppendRecords(ctx, zone, []libdns.Record{r})
		if err != nil && !strings.Contains(err.Error(), identicalRecord) {
			return nil, err
		}
	}
	return records, nil
}

// DeleteRecords removes records. A record that is not there is no error, but one that Cloudflare
// failed to find is.
func (c *cloudflareRecords) DeleteRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	var all []libdns.Record
	for _, r := range records {
		removed, err := c.Provider.DeleteRecords(ctx, zone, []libdns.Record{r})
		if err == nil && len(removed) == 0 {
			err = c.absent(ctx, zone, r)
		}
		if err != nil {
			return all, err
		}
		all = append(all, removed...)
	}
	return all, nil
}

// absent makes sure that a record is not there. The provider takes one that it could not look up
// for one that is absent.
func (c *cloudflareRecords) absent(ctx context.Context, zone string, r libdns.Record) error {
	values, err := valuesBeside(ctx, c, zone, r)
	if err != nil {
		return err
	}
	if slices.Contains(values, r.RR().Data) {
		return fmt.Errorf(
			"cloudflare did not find the record %s of the zone %s, which is there", r.RR().Name,
			bare(zone),
		)
	}
	return nil
}
