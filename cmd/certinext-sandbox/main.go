// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command certinext-sandbox serves both versions of an in-memory CERTInext API, backed by a
// certificate authority, so that clients can be tried without an account. It is not a real CA: its
// roots are new at every start, and nothing it signs is to be trusted. Its flags and administration
// paths are described by -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is what -version prints. Builds of the Makefile and of releases set it at link time.
var version = "of a development build"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "certinext-sandbox:", err)
			os.Exit(1)
		}
	}
}

// run serves until ctx ends. It writes help to stderr and the address to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if o.version {
		_, err := fmt.Fprintln(stdout, "certinext-sandbox", version)
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	if err := o.checkExposure(listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	baseURL := o.server.BaseURL
	if baseURL == "" {
		baseURL = "http://" + listener.Addr().String()
	}
	announce(stdout, o, listener.Addr(), baseURL)
	return serve(ctx, listener,
		&http.Server{Handler: o.server, ReadHeaderTimeout: 10 * time.Second})
}

// checkExposure refuses addresses other than loopback ones without -allow-remote, since the
// administration paths require no credentials.
func (o *options) checkExposure(addr net.Addr) error {
	tcp, ok := addr.(*net.TCPAddr)
	if o.allowRemote || (ok && tcp.IP.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%s is not a loopback address; set -allow-remote to listen there anyway",
		addr)
}

// announce prints what was started. It names the flags that hold the credentials, not their values.
func announce(w io.Writer, o *options, addr net.Addr, baseURL string) {
	fmt.Fprintln(w, "certinext-sandbox: THIS IS NOT A REAL CA. "+
		"Its roots are new at every start; trust them in tests only.")
	fmt.Fprintf(w, "dialect:     %s\n", o.server.Dialect)
	fmt.Fprintf(w, "base URL:    %s\n", baseURL)
	fmt.Fprintf(w, "credentials: %s\n", o.credentials())
	fmt.Fprintf(w, "roots:       %s/_sandbox/roots.pem\n", baseURL)
	fmt.Fprintf(w, "listening on http://%s\n", addr)
}

// serve serves until ctx ends. Calls in progress then have two seconds to finish.
func serve(ctx context.Context, listener net.Listener, server *http.Server) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return server.Close()
	}
	return nil
}
