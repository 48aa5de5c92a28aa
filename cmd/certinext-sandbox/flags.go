// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// options are the parsed command line. Most flags set fields of the server directly.
type options struct {
	listen      string
	allowRemote bool
	tlsListen   string // "" without TLS
	tlsRootFile string
	config      string
	restore     string
	snapshot    string
	version     bool
	schema      bool
	server      *certinexttest.Server
	others      int // orders that others have placed before
	// overruled is a flag of the server's settings, of which a snapshot has its own; "" for none.
	overruled string
}

const (
	listenHelp      = "`address` to listen on; port 0 picks a free one"
	allowRemoteHelp = "listen on an address that is not loopback"
	tlsListenHelp   = "`address` at which to listen with TLS, beside -listen, with a " +
		"certificate of a root made at start"
	tlsRootFileHelp = "`file` to write the root of -tls-listen to"
	restoreHelp     = "`file` with a snapshot to go on from, settings included, which go " +
		"before those of -config"
	snapshotHelp = "`file` to write a snapshot to at the end, private keys included"
	othersHelp   = "`number` of orders that others have placed before, for an orders " +
		"report of many pages"
)

// parseFlags parses the command line, and the file that it may name, into a server that is ready to
// serve. What the command line says goes before what the file says.
func parseFlags(args []string, stderr io.Writer) (*options, error) {
	o, err := parseOver(&options{server: new(certinexttest.Server)}, args, stderr)
	if err != nil || o.version || o.schema {
		return o, err
	}
	if o.config != "" {
		filed := &options{server: new(certinexttest.Server)}
		if err := filed.loadConfig(o.config); err != nil {
			return nil, err
		}
		if o, err = parseOver(filed, args, stderr); err != nil {
			return nil, err
		}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.restore != "" && o.overruled != "" {
		return nil, fmt.Errorf("-%s does not go with -restore, whose snapshot has settings of its "+
			"own: leave it out, or change it at /_sandbox/knobs", o.overruled)
	}
	if o.restore != "" {
		if err := o.restoreSnapshot(); err != nil {
			return nil, err
		}
	}
	if o.others > 0 {
		o.server.AddForeignOrders(o.others)
	}
	return o, nil
}

// parseOver parses the command line over what o holds.
func parseOver(o *options, args []string, stderr io.Writer) (*options, error) {
	flags := flag.NewFlagSet("certinext-sandbox", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.config, "config", "",
		"JSON `file` with what the flags can say and more; flags go before it")
	flags.BoolVar(&o.schema, "config-schema", false, "print the JSON Schema of -config and end")
	flags.BoolVar(&o.version, "version", false, "print the version and end")
	flags.StringVar(&o.listen, "listen", cmp.Or(o.listen, "127.0.0.1:8093"), listenHelp)
	flags.BoolVar(&o.allowRemote, "allow-remote", o.allowRemote, allowRemoteHelp)
	flags.StringVar(&o.tlsListen, "tls-listen", o.tlsListen, tlsListenHelp)
	flags.StringVar(&o.tlsRootFile, "tls-root-file", o.tlsRootFile, tlsRootFileHelp)
	flags.StringVar(&o.restore, "restore", "", restoreHelp)
	flags.StringVar(&o.snapshot, "snapshot-on-exit", "", snapshotHelp)
	flags.IntVar(&o.others, "foreign-orders", o.others, othersHelp)
	own := make(map[string]bool)
	flags.VisitAll(func(f *flag.Flag) { own[f.Name] = true })
	o.server.DefineFlags(flags)
	err := flags.Parse(args)
	flags.Visit(func(f *flag.Flag) {
		if !own[f.Name] && o.overruled == "" {
			o.overruled = f.Name
		}
	})
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stderr)
		usage(flags)
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w (-help lists the flags)", err)
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

// credentials says which flags hold the credentials of the dialect, and those of version 1, the
// only ones in the v1 dialect.
func (o *options) credentials() string {
	const signed = "account number (-account-number) and access key (-access-key)"
	if o.server.Dialect != certinexttest.Live {
		return signed
	}
	return "client id (-client-id, else -account-number) and client secret (-client-secret); " +
		"version 1: " + signed
}

func usage(flags *flag.FlagSet) {
	w := flags.Output()
	fmt.Fprint(w, `certinext-sandbox serves both versions of an in-memory CERTInext API. It is
NOT A REAL CA: its roots are new at every start, and nothing it signs is to be trusted.

Usage: certinext-sandbox [flags]

`)
	flags.PrintDefaults()
	fmt.Fprintf(w, `
Administration, without credentials and therefore for loopback use only:

%s
Example: lose the reply to the next SSL order after it was accepted.

  curl -X POST http://127.0.0.1:8093/_sandbox/faults \
    -d '{"operation":"create-ssl","kind":"lost-reply","times":1}'

Fault kinds: %s.
Mistakes: %s.
Durations are written like 1m30s.
`, certinexttest.AdminHelp, strings.Join(certinexttest.FaultKinds(), ", "),
		strings.Join(certinexttest.MisissuanceKinds(), ", "))
}
