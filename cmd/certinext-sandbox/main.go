// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command certinext-sandbox serves both versions of an in-memory CERTInext API, backed by a
// certificate authority, so that clients can be tried without an account. It is not a real CA: its
// roots are new at every start, and nothing it signs is to be trusted. Its flags and administration
// paths are described by -help.
package main

import (
	"cmp"
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

// headerTimeout is how long a client may take to send the head of a request.
const headerTimeout = 10 * time.Second

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
	if o.schema {
		return writeSchema(stdout)
	}
	plain, err := o.open(ctx, o.listen)
	if err != nil {
		return err
	}
	served := []service{{plain, &http.Server{
		Handler: o.server, ReadHeaderTimeout: headerTimeout,
	}}}
	var tlsRoot []byte
	if o.tlsListen != "" {
		secure, root, err := o.openTLS(ctx, served[0].server)
		if err != nil {
			return errors.Join(err, plain.Close())
		}
		served, tlsRoot = append(served, secure), root
	}
	announce(stdout, o, served, tlsRoot)
	return serve(ctx, served)
}

// A service is a server and where it listens.
type service struct {
	listener net.Listener
	server   *http.Server
}

func (s service) url() string {
	if s.server.TLSConfig != nil {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// open listens on an address that may be exposed.
func (o *options) open(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if err := o.checkExposure(listener.Addr()); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// openTLS listens with TLS for what plain serves, and has plain serve the root, too.
func (o *options) openTLS(ctx context.Context, plain *http.Server) (service, []byte, error) {
	listener, err := o.open(ctx, o.tlsListen)
	if err != nil {
		return service{}, nil, err
	}
	own, err := newIdentity(o.tlsNames(listener.Addr()), time.Now())
	if err == nil && o.tlsRootFile != "" {
		//nolint:gosec // a certificate is public
		err = os.WriteFile(o.tlsRootFile, own.rootPEM, 0o644)
	}
	if err != nil {
		return service{}, nil, errors.Join(err, listener.Close())
	}
	plain.Handler = own.withRoot(plain.Handler)
	return service{listener, own.tlsServer(plain.Handler)}, own.rootPEM, nil
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
func announce(w io.Writer, o *options, served []service, tlsRoot []byte) {
	baseURL := cmp.Or(o.server.BaseURL, served[0].url())
	fmt.Fprintln(w, "certinext-sandbox: THIS IS NOT A REAL CA. "+
		"Its roots are new at every start; trust them in tests only.")
	fmt.Fprintf(w, "dialect:     %s\n", o.server.Dialect)
	fmt.Fprintf(w, "base URL:    %s\n", baseURL)
	fmt.Fprintf(w, "credentials: %s\n", o.credentials())
	fmt.Fprintf(w, "roots:       %s/_sandbox/roots.pem\n", baseURL)
	if tlsRoot != nil {
		fmt.Fprintf(w, "TLS root:    %s%s\n%s", served[0].url(), rootPath, tlsRoot)
	}
	for _, s := range served[1:] {
		fmt.Fprintf(w, "with TLS on %s\n", s.url())
	}
	fmt.Fprintf(w, "listening on %s\n", served[0].url())
}

// serve serves until ctx ends or a server does. Calls in progress then have two seconds to finish.
func serve(ctx context.Context, served []service) error {
	done := make(chan error, len(served))
	for _, s := range served {
		go func() {
			if s.server.TLSConfig != nil {
				done <- s.server.ServeTLS(s.listener, "", "")
			} else {
				done <- s.server.Serve(s.listener)
			}
		}()
	}
	var failure error
	select {
	case failure = <-done:
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, s := range served {
		if err := s.server.Shutdown(grace); err != nil {
			failure = errors.Join(failure, s.server.Close())
		}
	}
	return failure
}
