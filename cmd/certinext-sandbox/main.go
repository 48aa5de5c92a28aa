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
	context.AfterFunc(ctx, stop) // a second signal ends what the first one has begun
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
	b, err := untilEnded(ctx, func() (beginning, error) { return begin(ctx, args, stderr) })
	if err != nil {
		return err
	}
	if b.version {
		_, err := fmt.Fprintln(stdout, "certinext-sandbox", version)
		return err
	}
	if b.schema {
		return writeSchema(stdout)
	}
	announce(stdout, b)
	err = serve(ctx, b.served)
	if b.snapshot != "" {
		err = errors.Join(err, b.writeSnapshot())
	}
	return err
}

// A beginning is what there is before anything is served.
type beginning struct {
	*options
	served  []service // the one without TLS first
	tlsRoot []byte    // as PEM; nil without TLS
}

// begin reads the command line and listens where that says. It can take long: a snapshot may be
// large, and orders of others many.
func begin(ctx context.Context, args []string, stderr io.Writer) (beginning, error) {
	o, err := parseFlags(args, stderr)
	if err != nil || o.version || o.schema {
		return beginning{options: o}, err
	}
	plain, err := o.open(ctx, "listen", o.listen)
	if err != nil {
		return beginning{}, err
	}
	b := beginning{options: o, served: []service{{plain, &http.Server{
		Handler: o.server, ReadHeaderTimeout: headerTimeout,
	}}}}
	if o.tlsListen != "" {
		secure, root, err := o.openTLS(ctx)
		if err != nil {
			return beginning{}, errors.Join(err, plain.Close())
		}
		b.served, b.tlsRoot = append(b.served, secure), root
	}
	return b, nil
}

// errEnded is returned where a signal comes before anything is served.
var errEnded = errors.New("ended by a signal before it was ready; nothing was served or written")

// untilEnded waits for f, or for the end of ctx. Then f is left behind, and dies with the program.
func untilEnded[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := f()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, errEnded
	}
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

// announce prints what was started. It names the flags that hold the credentials, not their values.
func announce(w io.Writer, b beginning) {
	baseURL := cmp.Or(b.server.BaseURL, b.served[0].url())
	fmt.Fprintln(w, "certinext-sandbox: THIS IS NOT A REAL CA. "+
		"Its roots are new at every start; trust them in tests only.")
	fmt.Fprintf(w, "dialect:     %s\n", b.server.Dialect)
	fmt.Fprintf(w, "base URL:    %s\n", baseURL)
	fmt.Fprintf(w, "credentials: %s\n", b.credentials())
	fmt.Fprintf(w, "roots:       %s/_sandbox/roots.pem\n", baseURL)
	if b.tlsRoot != nil {
		fmt.Fprintf(w, "TLS root:    %s/_sandbox/tls-root.pem\n%s", b.served[0].url(), b.tlsRoot)
	}
	for _, s := range b.served[1:] {
		fmt.Fprintf(w, "with TLS on %s\n", s.url())
	}
	fmt.Fprintf(w, "listening on %s\n", b.served[0].url())
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
