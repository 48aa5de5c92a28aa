// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
)

var route53Kind = Kind{
	Name:    "route53",
	Ambient: "the AWS identity of the server (environment, container or instance role)",
	Fields: []Field{
		{
			Name: "access_key_id", Required: true, Credential: true,
			Description: "ID of the AWS access key.",
		},
		{
			Name: "secret_access_key", Required: true, Credential: true, Secret: true,
			Description: "Secret of the AWS access key.",
		},
		{
			Name: "session_token", Credential: true, Secret: true,
			Description: "Session token that belongs to a temporary access key.",
		},
		{
			Name: "region", Default: "us-east-1",
			Description: "AWS region that requests are signed for; us-east-1 (the default) but " +
				"for partitions such as China's.",
		},
		{
			Name: "hosted_zone_id",
			Description: "ID of the hosted zone, where it is not to be found by its name: " +
				"several public zones have it, or none.",
		},
	},
	open: openRoute53,
}

func openRoute53(s Settings) (Provider, error) {
	zoneID := strings.TrimPrefix(strings.TrimPrefix(s.Values["hosted_zone_id"], "/"), "hostedzone/")
	if strings.ContainsFunc(zoneID, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
	}) {
		return nil, &SettingError{
			Field: "hosted_zone_id", Problem: "is not an ID such as Z1D633PJN98FT9",
		}
	}
	return &setProvider{host: &hostedZones{settings: s, zone: zoneID}}, nil
}

// attempts are how often a request is sent at most.
const attempts = 5

// hostedZones are the zones of an AWS account.
type hostedZones struct {
	settings Settings
	zone     string // the ID of one of them; found by its name when empty
	client   lazy[*route53.Client]
}

// connect loads the AWS configuration, that of the server included. A failure is told, and may be
// gone at the next call.
func (h *hostedZones) connect(ctx context.Context) (*route53.Client, error) {
	return h.client.get(ctx, func(ctx context.Context) (*route53.Client, error) {
		// The configuration outlives the call, and its requests have contexts of their own.
		cfg, err := config.LoadDefaultConfig(context.WithoutCancel(ctx), h.options()...)
		if err != nil {
			return nil, fmt.Errorf("loading the AWS configuration of the server: %w", err)
		}
		return route53.NewFromConfig(cfg, func(o *route53.Options) {
			if loaded, ok := cfg.HTTPClient.(*awshttp.BuildableClient); !ok || !hasRoots(loaded) {
				o.HTTPClient = h.settings.HTTPClient
			}
		}), nil
	})
}

// hasRoots reports whether the server's AWS configuration names the CAs to trust.
func hasRoots(c *awshttp.BuildableClient) bool {
	t := c.GetTransport().TLSClientConfig
	return t != nil && t.RootCAs != nil
}

// options are what the settings say. The client that the configuration is loaded with, and that
// asks for the server's identity, has to be AWS's own for the CAs of the configuration to be added
// to it. It keeps no connection open.
func (h *hostedZones) options() []func(*config.LoadOptions) error {
	own := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.DisableKeepAlives = true
	})
	out := []func(*config.LoadOptions) error{
		config.WithHTTPClient(own),
		config.WithRetryer(func() aws.Retryer {
			return retry.AddWithMaxAttempts(retry.NewStandard(), attempts)
		}),
		config.WithRegion(h.settings.Values["region"]),
	}
	if id := h.settings.Values["access_key_id"]; id != "" {
		out = append(out, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(
			id, h.settings.Values["secret_access_key"], h.settings.Values["session_token"],
		)))
	}
	return out
}

// find returns the ID of the public hosted zone of a name. Route 53 lists zones by name, those of
// one name by ID, private ones among them.
func (h *hostedZones) find(ctx context.Context, zone string) (string, error) {
	if h.zone != "" {
		return h.zone, nil
	}
	client, err := h.connect(ctx)
	if err != nil {
		return "", err
	}
	var public, private []string
	in := &route53.ListHostedZonesByNameInput{DNSName: &zone}
	for {
		page, err := client.ListHostedZonesByName(ctx, in)
		if err != nil {
			return "", err
		}
		for _, z := range page.HostedZones {
			id := strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/")
			switch {
			case Canonical(aws.ToString(z.Name)) != zone:
			case z.Config != nil && z.Config.PrivateZone:
				private = append(private, id)
			default:
				public = append(public, id)
			}
		}
		if !page.IsTruncated || Canonical(aws.ToString(page.NextDNSName)) != zone {
			return onlyPublic("hosted_zone_id", zone, public, private)
		}
		in.DNSName, in.HostedZoneId = page.NextDNSName, page.NextHostedZoneId
	}
}

func (h *hostedZones) spell(text string) []string { return quoted(text) }

// read asks for one set, the first from the name on, which may be another.
func (h *hostedZones) read(ctx context.Context, id string, r Record) (recordSet, error) {
	client, err := h.connect(ctx)
	if err != nil {
		return recordSet{}, err
	}
	page, err := client.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &id, StartRecordName: &r.Name, StartRecordType: types.RRTypeTxt,
		MaxItems: aws.Int32(1),
	})
	if err != nil {
		return recordSet{}, err
	}
	for _, s := range page.ResourceRecordSets {
		if s.Type != types.RRTypeTxt || Canonical(unescaped(aws.ToString(s.Name))) != r.Name {
			continue
		}
		if s.SetIdentifier != nil || s.TTL == nil {
			return recordSet{}, fmt.Errorf("the TXT records %s have a routing policy, which this "+
				"solver cannot change", bare(r.Name))
		}
		var spelt []string
		for _, v := range s.ResourceRecords {
			spelt = append(spelt, aws.ToString(v.Value))
		}
		return recordSet{ttl: *s.TTL, records: storedTexts(spelt)}, nil
	}
	return recordSet{}, nil
}

// unescaped returns a name whose bytes Route 53 shows as three octal digits, as it does with all
// but letters, digits, hyphens and underscores.
func unescaped(name string) string {
	var out strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] == '\\' && i+3 < len(name) {
			if n, err := strconv.ParseUint(name[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(name[i])
	}
	return out.String()
}

// write takes the old set away and creates the new one in a single change, which Route 53 refuses
// when the old one is another by now.
func (h *hostedZones) write(
	ctx context.Context, id string, r Record, before, after recordSet,
) error {
	client, err := h.connect(ctx)
	if err != nil {
		return err
	}
	var batch types.ChangeBatch
	for _, c := range []struct {
		action types.ChangeAction
		set    recordSet
	}{{types.ChangeActionDelete, before}, {types.ChangeActionCreate, after}} {
		if len(c.set.records) > 0 {
			batch.Changes = append(batch.Changes, types.Change{
				Action: c.action, ResourceRecordSet: c.set.forRoute53(r.Name),
			})
		}
	}
	_, err = client.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
		HostedZoneId: &id, ChangeBatch: &batch,
	})
	var refused *types.InvalidChangeBatch
	if errors.As(err, &refused) {
		return &conflictError{reasoned(refused)}
	}
	return err
}

func (s recordSet) forRoute53(name string) *types.ResourceRecordSet {
	set := &types.ResourceRecordSet{Name: &name, Type: types.RRTypeTxt, TTL: &s.ttl}
	for _, spelt := range s.zoneFileForm() {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: &spelt})
	}
	return set
}

// reasoned says why Route 53 refused a change, which the text of its error does not.
func reasoned(refused *types.InvalidChangeBatch) error {
	if len(refused.Messages) == 0 {
		return refused
	}
	return fmt.Errorf("%s: %w", strings.Join(refused.Messages, ", "), refused)
}
