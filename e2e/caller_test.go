// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A caller is somebody with a token.
type caller struct {
	t      *testing.T
	server *server
	api    *api.Client
}

// as returns a caller with another token.
func (c *caller) as(token string) *caller {
	c.t.Helper()
	other, err := c.api.Clone()
	require.NoError(c.t, err)
	other.SetToken(token)
	if token != "" {
		c.server.keep("a caller's token", token)
	}
	return &caller{t: c.t, server: c.server, api: other}
}

// send writes, and returns whatever comes back. Keys in the answer are remembered as secrets.
func (c *caller) send(path string, data map[string]any) (*api.Secret, error) {
	resp, err := c.api.Logical().WriteWithContext(c.t.Context(), path, data)
	if err == nil && resp != nil {
		if key, _ := resp.Data["private_key"].(string); key != "" {
			c.server.keep("a private key", key)
		}
	}
	return resp, err
}

func (c *caller) write(path string, data map[string]any) *api.Secret {
	c.t.Helper()
	resp, err := c.send(path, data)
	require.NoError(c.t, err)
	return resp
}

func (c *caller) read(path string) map[string]any {
	c.t.Helper()
	resp, err := c.api.Logical().ReadWithContext(c.t.Context(), path)
	require.NoError(c.t, err)
	require.NotNil(c.t, resp, "%s is not there", path)
	return resp.Data
}

func (c *caller) list(path string) []string {
	c.t.Helper()
	resp, err := c.api.Logical().ListWithContext(c.t.Context(), path)
	require.NoError(c.t, err)
	if resp == nil {
		return nil
	}
	return texts(resp.Data["keys"])
}

// refused makes a write that has to be answered with a 400, and returns the reason.
func (c *caller) refused(path string, data map[string]any) string {
	c.t.Helper()
	_, err := c.send(path, data)
	return c.reason(http.StatusBadRequest, err)
}

// reason returns what an error answer with that status says.
func (c *caller) reason(status int, err error) string {
	c.t.Helper()
	var answer *api.ResponseError
	require.ErrorAs(c.t, err, &answer)
	require.Equal(c.t, status, answer.StatusCode, "%v", answer.Errors)
	require.Len(c.t, answer.Errors, 1)
	return answer.Errors[0]
}

// forbidden requires that an operation is refused by policy.
func (c *caller) forbidden(what string, err error) {
	c.t.Helper()
	var answer *api.ResponseError
	require.ErrorAs(c.t, err, &answer, what)
	require.Equal(c.t, http.StatusForbidden, answer.StatusCode, what)
}

// isRefusal reports whether err is a 400, which promises that the same request may be made again.
func isRefusal(err error) bool {
	var answer *api.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusBadRequest
}

func texts(v any) []string {
	items, _ := v.([]any)
	out := make([]string, 0, len(items))
	for _, i := range items {
		s, _ := i.(string)
		out = append(out, s)
	}
	return out
}

func text(t *testing.T, v any) string {
	t.Helper()
	s, ok := v.(string)
	require.True(t, ok, "%v is no string", v)
	return s
}

func number(t *testing.T, v any) int64 {
	t.Helper()
	n, ok := v.(json.Number)
	require.True(t, ok, "%v (%T) is no number", v, v)
	i, err := n.Int64()
	require.NoError(t, err)
	return i
}
