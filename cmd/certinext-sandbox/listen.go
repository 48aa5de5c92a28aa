// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"
)

// open listens on the address of a flag, which may be exposed. An error names the flag.
func (o *options) open(ctx context.Context, flag, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("-%s %s: %w", flag, address, whyDeaf(err))
	}
	if !o.allowRemote && !isLoopback(listener.Addr()) {
		return nil, errors.Join(fmt.Errorf("-%s %s: %s is not a loopback address; set "+
			"-allow-remote to listen there anyway", flag, address, listener.Addr()),
			listener.Close())
	}
	return listener, nil
}

// isLoopback tells whether only this machine can call. Without credentials, which the
// administration paths do not ask for, others may not.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// whyDeaf says why there is no listening at an address, and what to do.
func whyDeaf(err error) error {
	var listening *net.OpError
	if errors.As(err, &listening) {
		err = listening.Err
	}
	var call *os.SyscallError
	if errors.As(err, &call) {
		err = call.Err
	}
	const other = "name another address, such as 127.0.0.1:0 for a free port"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w: end the program that listens there, or %s", err, other)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%w: a port below 1024 is not for every user; %s", err, other)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: this machine does not have it; %s", err, other)
	}
	return fmt.Errorf("must be an address with a port, such as 127.0.0.1:8093: %w", err)
}

// openTLS listens with TLS for the server, and has it show the root.
func (o *options) openTLS(ctx context.Context) (service, []byte, error) {
	listener, err := o.open(ctx, "tls-listen", o.tlsListen)
	if err != nil {
		return service{}, nil, err
	}
	own, err := newIdentity(o.tlsNames(listener.Addr()), time.Now())
	if err == nil && o.tlsRootFile != "" {
		//nolint:gosec // a certificate is public
		err = whyUnwritten("tls-root-file", os.WriteFile(o.tlsRootFile, own.rootPEM, 0o644))
	}
	if err != nil {
		return service{}, nil, errors.Join(err, listener.Close())
	}
	o.server.PublishTLSRoot(own.rootPEM)
	return service{listener, own.tlsServer(o.server)}, own.rootPEM, nil
}

// whyUnwritten names the flag whose file was not written; it is nil for nil.
func whyUnwritten(flag string, err error) error {
	var file *fs.PathError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &file):
		return fmt.Errorf("-%s %s: %w: name a file in a folder that there is and that may be "+
			"written to", flag, file.Path, file.Err)
	}
	return fmt.Errorf("-%s: %w", flag, err)
}
