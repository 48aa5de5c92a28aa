// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command crashplugin is the engine with a way to stop it between two storage writes, so that a test can kill it there. It is
// built by the crash matrix only, and is of no use to anybody else: the engine in it is the real one, untouched.
//
// CRASH_DIR names a folder that the test shares with it; see [desk]. Two things differ from the production program, so that
// nothing happens unless the test wants it: Vault's minute does not start the background pass, a write to crash/pass does;
// and a mount's clock may be put forward.
package main

import (
	"errors"
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
	dir := os.Getenv("CRASH_DIR")
	if dir == "" {
		return errors.New("CRASH_DIR is not set")
	}
	d := &desk{dir: dir, seen: make(map[string]int)}
	d.born = d.crashes()
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: factory(d),
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
	})
}
