// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/libdns/azure"
	"github.com/libdns/libdns"
)

// azureKind is Azure DNS. Its provider makes and removes whole record sets, so a name holds one
// value at a time.
var azureKind = Kind{
	Name:    "azure",
	Ambient: "the managed identity of the server",
	Note: "Azure's provider holds one value for a name: a record is not published where its name " +
		"has a TXT record set already, and not removed where somebody has added a value " +
		"to its set.",
	Fields: []Field{
		{
			Name: "subscription_id", Required: true,
			Description: "ID of the subscription that the zone is in.",
		},
		{
			Name: "resource_group", Required: true,
			Description: "Name of the resource group that the zone is in.",
		},
		{
			Name: "tenant_id", Required: true, Credential: true,
			Description: "ID of the Microsoft Entra tenant that the application is in.",
		},
		{
			Name: "client_id", Required: true, Credential: true,
			Description: "ID of the application that acts, its service principal having the role " +
				"DNS Zone Contributor.",
		},
		{
			Name: "client_secret", Required: true, Credential: true, Secret: true,
			Description: "Client secret of the application.",
		},
	},
	open: openAzure,
}

func openAzure(s Settings) (Provider, error) {
	return &recordSets{Provider: azure.Provider{
		SubscriptionId: s.Values["subscription_id"], ResourceGroupName: s.Values["resource_group"],
		TenantId: s.Values["tenant_id"], ClientId: s.Values["client_id"],
		ClientSecret: s.Values["client_secret"],
	}}, nil
}

// recordSets is libdns's provider, with two differences: publishing a record twice is no error, and
// a record set that holds other values, too, is not removed.
type recordSets struct{ azure.Provider }

// AppendRecords adds records where their names have no TXT record set. A record that is there is no
// error.
func (s *recordSets) AppendRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	for _, r := range records {
		if err := s.add(ctx, zone, r); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// DeleteRecords removes record sets that hold nothing but the records.
func (s *recordSets) DeleteRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	for _, r := range records {
		if err := s.remove(ctx, zone, r); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func (s *recordSets) add(ctx context.Context, zone string, r libdns.Record) error {
	_, err := s.Provider.AppendRecords(ctx, zone, []libdns.Record{r})
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusPreconditionFailed {
		return err
	}
	values, lookErr := s.values(ctx, zone, r)
	if lookErr == nil && slices.Contains(values, r.RR().Data) {
		return nil
	}
	return fmt.Errorf("a TXT record set %s is in the zone %s already, and Azure's provider holds "+
		"one value for a name: %w",
		r.RR().Name, bare(zone), err)
}

// remove looks before it removes, since the provider removes the whole set. What is added in
// between is removed, too.
func (s *recordSets) remove(ctx context.Context, zone string, r libdns.Record) error {
	values, err := s.values(ctx, zone, r)
	if err != nil {
		return err
	}
	ours := r.RR().Data
	if !slices.Contains(values, ours) {
		return nil
	}
	if slices.ContainsFunc(values, func(v string) bool { return v != ours }) {
		return fmt.Errorf("the TXT record set %s in the zone %s has other values, too, and "+
			"Azure's provider removes whole sets only, so nothing was removed",
			r.RR().Name, bare(zone))
	}
	_, err = s.Provider.DeleteRecords(ctx, zone, []libdns.Record{r})
	return err
}

// values are those that the record set of r has. The provider answers with no records at all when
// it does not understand one of the zone, whereas a zone has an SOA record at least.
func (s *recordSets) values(ctx context.Context, zone string, r libdns.Record) ([]string, error) {
	all, err := s.GetRecords(ctx, zone)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("azure's provider does not understand every record of the zone "+
			"%s, so it cannot tell the values of %s",
			bare(zone), r.RR().Name)
	}
	return valuesAmong(all, r), nil
}
