// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/libdns/libdns"
	"github.com/libdns/route53"
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
			Name:        "hosted_zone_id",
			Description: "ID of the hosted zone, where it is not to be found by its name.",
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
	return &hostedZones{Provider: route53.Provider{
		Region: s.Values["region"], HostedZoneID: zoneID, MaxRetries: attempts,
		Logger:      slog.New(slog.DiscardHandler),
		AccessKeyId: s.Values["access_key_id"], SecretAccessKey: s.Values["secret_access_key"],
		SessionToken: s.Values["session_token"],
	}}, nil
}

// attempts are how often a request is sent at most, as the provider has it by itself.
const attempts = 5

// hostedZones is libdns's provider, with two differences: publishing a record twice is no error,
// and a broken AWS configuration of the server is an error and does not end the process.
type hostedZones struct {
	route53.Provider

	mu      sync.Mutex
	started bool
}

// AppendRecords adds records. A record that is there is no error.
func (h *hostedZones) AppendRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	for _, r := range records {
		if err := h.add(ctx, zone, r); err != nil {
			return nil, err
		}
	}
	return records, nil
}

// DeleteRecords removes records.
func (h *hostedZones) DeleteRecords(
	ctx context.Context, zone string, records []libdns.Record,
) ([]libdns.Record, error) {
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	out, err := h.Provider.DeleteRecords(ctx, zone, records)
	return out, reasoned(err)
}

// reasoned says why Route 53 refused a change, which the text of its error does not.
func reasoned(err error) error {
	var refused *types.InvalidChangeBatch
	if !errors.As(err, &refused) || len(refused.Messages) == 0 {
		return err
	}
	return fmt.Errorf("%s: %w", strings.Join(refused.Messages, ", "), err)
}

// add does not mind a record that is there. Route 53 refuses a set with the same value twice, and
// the provider adds to what it finds.
func (h *hostedZones) add(ctx context.Context, zone string, r libdns.Record) error {
	_, err := h.Provider.AppendRecords(ctx, zone, []libdns.Record{r})
	var refused *types.InvalidChangeBatch
	if !errors.As(err, &refused) {
		return err
	}
	values, lookErr := valuesBeside(ctx, h, zone, r)
	if lookErr != nil || !slices.Contains(values, r.RR().Data) {
		return reasoned(err)
	}
	return nil
}

// start has the provider load its configuration, which it does once, at its first call, and ends
// the process when that fails. So the same is loaded here first, where a failure is an error, and
// may be gone at the next call.
func (h *hostedZones) start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // the configuration outlives the call
	if _, err := config.LoadDefaultConfig(ctx, h.options()...); err != nil {
		return fmt.Errorf("loading the AWS configuration of the server: %w", err)
	}
	// With an ID the provider looks no zone up, and without records it removes nothing.
	id := h.HostedZoneID
	h.HostedZoneID = "NONE"
	_, err := h.Provider.DeleteRecords(ctx, "", nil)
	h.HostedZoneID = id
	h.started = err == nil
	return err
}

// options are those that the provider loads its configuration with.
func (h *hostedZones) options() []func(*config.LoadOptions) error {
	out := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer {
			return retry.AddWithMaxAttempts(retry.NewStandard(), h.MaxRetries)
		}),
		config.WithRegion(h.Region),
	}
	if h.AccessKeyId != "" {
		out = append(out, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(
				h.AccessKeyId, h.SecretAccessKey, h.SessionToken,
			)))
	}
	return out
}
