// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"
)

// tlsLife is how long the listener's root and certificate are good for. Both are new at each start.
const tlsLife = 90 * 24 * time.Hour

// An identity is the root of the TLS listener, and the certificate below it that is shown to
// clients. The root's key is thrown away once that is signed.
type identity struct {
	rootPEM     []byte
	certificate tls.Certificate
}

// newIdentity makes an identity for the names and addresses by which clients reach this server.
func newIdentity(names []string, now time.Time) (*identity, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{
		SerialNumber: serial(), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(tlsLife),
		Subject: pkix.Name{
			CommonName:   "certinext-sandbox TLS root (NOT A REAL CA)",
			Organization: []string{"NOT A REAL CA"},
		},
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	signer, err := x509.ParseCertificate(rootDER)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: serial(), NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		Subject:     pkix.Name{CommonName: "certinext-sandbox"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			leaf.IPAddresses = append(leaf.IPAddresses, addr.AsSlice())
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, signer, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	return &identity{
		rootPEM:     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}),
		certificate: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
	}, nil
}

// serial is a serial number that no other start has.
func serial() *big.Int {
	n := new(big.Int)
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return n.SetBytes(b[:])
}

// tlsNames are the names and addresses that the listener's certificate is for.
func (o *options) tlsNames(listening net.Addr) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(listening.String()); err == nil {
		if addr, err := netip.ParseAddr(host); err == nil && !addr.IsUnspecified() {
			names = append(names, addr.String())
		}
	}
	if u, err := url.Parse(o.server.BaseURL); err == nil && u.Hostname() != "" {
		names = append(names, u.Hostname())
	}
	names = append(names, o.server.AdminHosts...)
	slices.Sort(names)
	return slices.Compact(names)
}

// tlsServer serves what handler serves, and its own root, over TLS.
func (i *identity) tlsServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeout,
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{i.certificate},
		},
	}
}
