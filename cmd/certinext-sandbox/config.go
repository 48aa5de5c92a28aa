// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A config is what a configuration file holds. Flags on the command line go before it.
type config struct {
	Schema        string          `json:"$schema"` // for editors; not read
	Listen        *string         `json:"listen"`
	AllowRemote   *bool           `json:"allowRemote"`
	TLSListen     *string         `json:"tlsListen"`
	TLSRootFile   *string         `json:"tlsRootFile"`
	ForeignOrders *int            `json:"foreignOrders"`
	Server        json.RawMessage `json:"server"`
}

// loadConfig sets what the file names. An error names the file and what is wrong in it.
func (o *options) loadConfig(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("-config: %w", err)
	}
	var c config
	if err := certinexttest.UnmarshalExactly(content, &c); err != nil {
		return fmt.Errorf("-config %s: %w", path, err)
	}
	setIf(&o.listen, c.Listen)
	setIf(&o.allowRemote, c.AllowRemote)
	setIf(&o.tlsListen, c.TLSListen)
	setIf(&o.tlsRootFile, c.TLSRootFile)
	setIf(&o.others, c.ForeignOrders)
	if c.Server == nil {
		return nil
	}
	if err := o.server.LoadSettings(c.Server); err != nil {
		return fmt.Errorf("-config %s: server: %w", path, err)
	}
	return nil
}

// setIf stores a value that there is.
func setIf[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// writeSchema prints the JSON Schema of a configuration file.
func writeSchema(w io.Writer) error {
	described := func(kind, text string) map[string]any {
		text = strings.ReplaceAll(text, "`", "")
		text = strings.ToUpper(text[:1]) + text[1:]
		return map[string]any{"type": kind, "description": text + "."}
	}
	server := certinexttest.SettingsSchema()
	server["description"] = "The simulated CERTInext."
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(map[string]any{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"title":                "Configuration of certinext-sandbox",
		"type":                 "object",
		"additionalProperties": false,
		"properties": map[string]any{
			"$schema":       described("string", "where an editor finds this schema"),
			"listen":        described("string", listenHelp),
			"allowRemote":   described("boolean", allowRemoteHelp),
			"tlsListen":     described("string", tlsListenHelp),
			"tlsRootFile":   described("string", tlsRootFileHelp),
			"foreignOrders": described("integer", othersHelp),
			"server":        server,
		},
	})
}
