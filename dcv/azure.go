// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/dns/armdns"
)

// azureKind is Azure DNS.
var azureKind = Kind{
	Name:    "azure",
	Ambient: "the managed identity of the server",
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
	options := policy.ClientOptions{Transport: s.HTTPClient}
	identity, err := azureIdentity(s, options)
	if err != nil {
		return nil, fmt.Errorf("preparing the identity for Azure: %w", err)
	}
	client, err := armdns.NewRecordSetsClient(
		s.Values["subscription_id"], identity, &arm.ClientOptions{ClientOptions: options},
	)
	if err != nil {
		return nil, fmt.Errorf("preparing the client of Azure DNS: %w", err)
	}
	return &setProvider{
		host: &azureZones{client: client, group: s.Values["resource_group"]},
	}, nil
}

func azureIdentity(s Settings, options policy.ClientOptions) (azcore.TokenCredential, error) {
	if s.Ambient {
		return azidentity.NewManagedIdentityCredential(
			&azidentity.ManagedIdentityCredentialOptions{ClientOptions: options},
		)
	}
	return azidentity.NewClientSecretCredential(
		s.Values["tenant_id"], s.Values["client_id"], s.Values["client_secret"],
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options},
	)
}

// azureZones are the zones of a resource group. Azure names them as the DNS does; private zones are
// another kind of resource, which this client does not know.
type azureZones struct {
	client *armdns.RecordSetsClient
	group  string
}

func (a *azureZones) find(_ context.Context, zone string) (string, error) { return bare(zone), nil }

func (a *azureZones) spell(text string) []string { return []string{text} }

func (a *azureZones) read(ctx context.Context, id string, r Record) (recordSet, error) {
	got, err := a.client.Get(ctx, a.group, id, relativeName(r), armdns.RecordTypeTXT, nil)
	var refused *azcore.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound &&
		refused.ErrorCode != "ParentResourceNotFound" {
		return recordSet{}, nil
	}
	if err != nil {
		return recordSet{}, err
	}
	return azureRecordSet(got.RecordSet)
}

// azureRecordSet fails for a set that Azure describes in a way which does not let it be written
// back.
func azureRecordSet(from armdns.RecordSet) (recordSet, error) {
	p := from.Properties
	alias := p != nil && p.TargetResource != nil && p.TargetResource.ID != nil
	if p == nil || p.TTL == nil || from.Etag == nil || alias {
		return recordSet{}, errors.New("azure describes the TXT record set without a TTL or an " +
			"etag, or as an alias of a resource")
	}
	set := recordSet{ttl: *p.TTL, version: *from.Etag, metadata: p.Metadata}
	for _, r := range p.TxtRecords {
		var spelt []string
		if r != nil {
			for _, v := range r.Value {
				if v != nil {
					spelt = append(spelt, *v)
				}
			}
		}
		set.records = append(set.records, storedText{strings.Join(spelt, ""), spelt})
	}
	return set, nil
}

// write has Azure compare the etag.
func (a *azureZones) write(
	ctx context.Context, id string, r Record, before, after recordSet,
) error {
	name, err := relativeName(r), error(nil)
	if len(after.records) == 0 {
		_, err = a.client.Delete(ctx, a.group, id, name, armdns.RecordTypeTXT,
			&armdns.RecordSetsClientDeleteOptions{IfMatch: &before.version})
	} else {
		var options armdns.RecordSetsClientCreateOrUpdateOptions
		if before.version != "" {
			options.IfMatch = &before.version
		} else {
			none := "*"
			options.IfNoneMatch = &none
		}
		_, err = a.client.CreateOrUpdate(
			ctx, a.group, id, name, armdns.RecordTypeTXT, after.forAzure(), &options,
		)
	}
	var refused *azcore.ResponseError
	if errors.As(err, &refused) && refused.StatusCode == http.StatusPreconditionFailed {
		return &conflictError{err}
	}
	return err
}

func (s recordSet) forAzure() armdns.RecordSet {
	p := &armdns.RecordSetProperties{TTL: &s.ttl, Metadata: s.metadata}
	for _, r := range s.records {
		var one armdns.TxtRecord
		for _, v := range r.spelt {
			one.Value = append(one.Value, &v)
		}
		p.TxtRecords = append(p.TxtRecords, &one)
	}
	return armdns.RecordSet{Properties: p}
}
