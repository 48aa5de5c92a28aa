// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/campaigns"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Campaigns.
type (
	// A Campaign is [campaigns.Campaign].
	Campaign = campaigns.Campaign
	// CampaignOrder is [campaigns.Order].
	CampaignOrder = campaigns.Order
	// CampaignPreview is [campaigns.Preview].
	CampaignPreview = campaigns.Preview
	// CampaignProgress is [campaigns.Progress].
	CampaignProgress = campaigns.Progress
	// CampaignItem is [campaigns.Listed].
	CampaignItem = campaigns.Listed
	// CampaignStage is [campaigns.Stage].
	CampaignStage = campaigns.Stage
	// Reason is why a certificate is revoked.
	Reason = certinext.Reason
	// CampaignState is [campaigns.State].
	CampaignState = campaigns.State
)

// The states that an operator gives a campaign.
const (
	CampaignRunning = campaigns.Running
	CampaignPaused  = campaigns.Paused
	CampaignAborted = campaigns.Aborted
)

// NewCampaign is [campaigns.NewCampaign].
func NewCampaign(name string) *Campaign { return campaigns.NewCampaign(name) }

// ListCampaigns is [campaigns.List].
func ListCampaigns(ctx context.Context, s logical.Storage) ([]string, error) {
	return campaigns.List(ctx, s)
}

// StartCampaign is [campaigns.Start].
func StartCampaign(
	ctx context.Context, e *Engine, s logical.Storage, c *Campaign, dryRun bool,
) (*CampaignPreview, error) {
	return campaigns.Start(ctx, e.Campaigns, s, c, dryRun)
}

// ControlCampaign is [campaigns.Control].
func ControlCampaign(
	ctx context.Context, e *Engine, s logical.Storage, name string, to CampaignState,
) (*Campaign, error) {
	return campaigns.Control(ctx, e.Campaigns, s, name, to)
}

// DeleteCampaign is [campaigns.Delete].
func DeleteCampaign(ctx context.Context, e *Engine, s logical.Storage, name string) error {
	return campaigns.Delete(ctx, e.Campaigns, s, name)
}

// ReadCampaign is [campaigns.ProgressOf].
func ReadCampaign(
	ctx context.Context, s logical.Storage, name string,
) (*CampaignProgress, error) {
	return campaigns.ProgressOf(ctx, s, name)
}

// ListCampaignItems is [campaigns.ListItems], of which total counts all.
func ListCampaignItems(
	ctx context.Context, s logical.Storage, name, stage string, w Window,
) (Page[CampaignItem], error) {
	rows, next, total, err := campaigns.ListItems(ctx, s, name, campaigns.Stage(stage),
		w.After, w.Limit)
	return Page[CampaignItem]{Rows: rows, Next: next, Total: total}, err
}

// priceOfRole returns what tells the price of a new order under a role as it is now.
func priceOfRole(
	e *Engine,
) func(ctx context.Context, s logical.Storage, name string) (campaigns.Price, error) {
	return func(ctx context.Context, s logical.Storage, name string) (campaigns.Price, error) {
		role, err := roles.Read(ctx, s, name)
		if err != nil {
			return campaigns.Price{}, err
		}
		if role == nil {
			role = issuing.NewRole(name)
		}
		a, err := e.Account.Session(ctx, s)
		if errors.Is(err, fault.ErrNotConfigured) {
			return campaigns.Price{Unknown: "the mount has no config"}, nil
		}
		if err != nil {
			return campaigns.Price{}, err
		}
		price, err := books{e}.Price(ctx, s, spending.Purchase{
			ProductCode: role.ProductCode, Years: role.ValidityYears,
			Group: role.OrderDefaults.Or(a.Config.OrderDefaults).GroupNumber,
		}, true)
		return campaigns.Price{
			Amount: price.Amount, Currency: price.Currency, Known: price.Known,
			Unknown: price.Unknown,
		}, err
	}
}
