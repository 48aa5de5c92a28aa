// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A client speaks JSON to a server on this machine. It does no more than the clients of both
// engines have to, since what it costs is taken from them.
type client struct {
	base  string
	token string
	http  *http.Client
}

func newClient(base string) *client {
	return &client{base: base, http: &http.Client{
		Timeout:   2 * time.Minute,
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256},
	}}
}

// request sends a request and returns the body of its answer. Anything but a 2xx is an error.
func (c *client) request(ctx context.Context, method, path string, data any) ([]byte, error) {
	var body io.Reader
	if data != nil {
		b, err := json.Marshal(data)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("X-Vault-Token", c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, answer)
	}
	return answer, nil
}

// send sends a request to Vault and returns its answer.
func (c *client) send(
	ctx context.Context, method, path string, data any,
) (map[string]any, error) {
	answer, err := c.request(ctx, method, "/v1/"+path, data)
	if err != nil || len(answer) == 0 {
		return nil, err
	}
	var out map[string]any
	err = json.Unmarshal(answer, &out)
	return out, err
}
