// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command vault-plugin-secrets-certinext is the CERTInext secrets engine. It is started by Vault.
// When started manually, it can only print its version.
package main

import (
	"fmt"
	"os"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		hclog.New(&hclog.LoggerOptions{}).Error("plugin shutting down", "error", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet()
	version := flags.Bool("version", false, "print the version and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version {
		fmt.Println(certinextsecrets.Version)
		return nil
	}
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: certinextsecrets.Factory,
		// Vault passes the TLS configuration in a wrapped token, which the provider unwraps.
		TLSProviderFunc: api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}
