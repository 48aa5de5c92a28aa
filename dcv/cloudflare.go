// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
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
	return &cloudflareRecords{
		http: s.HTTPClient, token: s.Values["api_token"],
		zoneToken: cmp.Or(s.Values["zone_token"], s.Values["api_token"]),
	}, nil
}

// cloudflareRecords asks Cloudflare's API (version 4). A record there is one value, and is added
// and removed by itself.
type cloudflareRecords struct {
	http             *http.Client
	token, zoneToken string
}

// identicalRecord is Cloudflare's code for "An identical record already exists".
const identicalRecord = 81058

// A cloudflareEntry is a record as Cloudflare has it.
type cloudflareEntry struct {
	ID      string `json:"id,omitempty"`
	Type    string `json:"type"`
	Name    string `json:"name"`
	Content string `json:"content"` // in quotation marks, or not: Cloudflare takes both
	TTL     int64  `json:"ttl"`     // seconds
}

// Publish adds the record. Cloudflare refuses one that is there.
func (c *cloudflareRecords) Publish(ctx context.Context, r Record, ttl time.Duration) error {
	records, err := c.recordsOf(ctx, r.Zone)
	if err != nil {
		return err
	}
	entry := cloudflareEntry{
		Type: "TXT", Name: bare(r.Name), Content: quoted(r.Value)[0], TTL: int64(ttl / time.Second),
	}
	err = c.call(ctx, c.token, http.MethodPost, records, entry, nil)
	if refused := new(cloudflareError); errors.As(err, &refused) && refused.is(identicalRecord) {
		return nil
	}
	return err
}

// Remove looks for the record among those of its name, and removes it by its id.
func (c *cloudflareRecords) Remove(ctx context.Context, r Record) error {
	records, err := c.recordsOf(ctx, r.Zone)
	if err != nil {
		return err
	}
	var ids []string
	for page := 1; ; page++ {
		var answer cloudflareAnswer[[]cloudflareEntry]
		query := url.Values{"type": {"TXT"}, "name": {bare(r.Name)}, "page": {strconv.Itoa(page)}}
		err := c.call(ctx, c.token, http.MethodGet, records+"?"+query.Encode(), nil, &answer)
		if err != nil {
			return err
		}
		for _, e := range answer.Result {
			if e.Type == "TXT" && Canonical(e.Name) == r.Name && cloudflareText(e) == r.Value {
				ids = append(ids, e.ID)
			}
		}
		if page >= answer.Info.TotalPages {
			break
		}
	}
	for _, id := range ids {
		err := c.call(ctx, c.token, http.MethodDelete, records+"/"+url.PathEscape(id), nil, nil)
		if refused := new(cloudflareError); errors.As(err, &refused) &&
			refused.status == http.StatusNotFound {
			continue // somebody else was quicker
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func cloudflareText(e cloudflareEntry) string {
	if strings.HasPrefix(e.Content, `"`) {
		return unquoted(e.Content)
	}
	return e.Content
}

// recordsOf returns the path of a zone's records. A zone of Cloudflare's internal DNS does not
// count, since no CA sees it.
func (c *cloudflareRecords) recordsOf(ctx context.Context, zone string) (string, error) {
	type found struct {
		ID   string `json:"id"`
		Name string `json:"name"`
		Type string `json:"type"`
	}
	var answer cloudflareAnswer[[]found]
	path := "/zones?" + url.Values{"name": {bare(zone)}}.Encode()
	if err := c.call(ctx, c.zoneToken, http.MethodGet, path, nil, &answer); err != nil {
		return "", err
	}
	public := slices.DeleteFunc(answer.Result, func(z found) bool {
		return Canonical(z.Name) != zone || z.Type == "internal"
	})
	switch {
	case len(public) == 0:
		return "", fmt.Errorf("the API token sees no public zone %s", bare(zone))
	case len(public) > 1:
		return "", &SettingError{Field: "api_token", Problem: fmt.Sprintf(
			"sees %d zones %s: take a token that is for the zone that the domain is delegated to",
			len(public), bare(zone))}
	}
	return "/zones/" + url.PathEscape(public[0].ID) + "/dns_records", nil
}

// A cloudflareAnswer is the envelope of every answer.
type cloudflareAnswer[R any] struct {
	Success bool                `json:"success"`
	Errors  []cloudflareProblem `json:"errors"`
	Result  R                   `json:"result"`
	Info    struct {
		TotalPages int `json:"total_pages"`
	} `json:"result_info"`
}

type cloudflareProblem struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// A cloudflareError is a call that Cloudflare refused.
type cloudflareError struct {
	status   int
	problems []cloudflareProblem
}

// Error has the status, and the codes and messages.
func (e *cloudflareError) Error() string {
	text := fmt.Sprintf("HTTP %d", e.status)
	for _, p := range e.problems {
		text += fmt.Sprintf(": %d %s", p.Code, p.Message)
	}
	return text
}

func (e *cloudflareError) is(code int) bool {
	return slices.ContainsFunc(e.problems, func(p cloudflareProblem) bool { return p.Code == code })
}

const (
	cloudflareBase = "https://api.cloudflare.com/client/v4"
	// cloudflareLimit is the longest answer that is read, many times that of a page.
	cloudflareLimit = 4 << 20
)

// call sends a request and decodes the answer into out, which may be nil.
func (c *cloudflareRecords) call(
	ctx context.Context, token, method, path string, in, out any,
) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, cloudflareBase+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, cloudflareLimit))
	if err != nil {
		return err
	}
	var envelope cloudflareAnswer[json.RawMessage]
	err = json.Unmarshal(text, &envelope)
	if resp.StatusCode != http.StatusOK || (err == nil && !envelope.Success) {
		return &cloudflareError{status: resp.StatusCode, problems: envelope.Errors}
	}
	if err != nil {
		return fmt.Errorf("cloudflare's answer is not the JSON that it should be: %w", err)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(text, out)
}
