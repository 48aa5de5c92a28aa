// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A client wants one certificate. The fields below the request record what became of it.
type client struct {
	request  Request
	key      *ecdsa.PrivateKey // of the client's own CSR; nil when Vault generates the key
	csr      string
	orders   []string // ids of the orders that it was told of, oldest first
	serials  []string // the certificates that it received, oldest first
	keyPEM   map[string]string
	wants    bool // asks again until it receives a certificate
	unheard  int  // number of answers that may have been given but did not arrive
	refusal  string
	reissue  *client // the client of the newest reissue of its order
	finished string  // the final refusal, after which it stops asking
	// renewAfter is when the renewal of the latest certificate is due, as its answer said.
	renewAfter time.Time
}

// client returns the client that makes a request, and creates it when the request is new.
func (w *world) client(r Request) *client {
	c := w.clients[r]
	if c == nil {
		c = &client{request: r, keyPEM: make(map[string]string)}
		if r.Key > 0 {
			c.key, c.csr = newCSR(r.commonName())
		}
		w.clients[r] = c
		w.asked = append(w.asked, r)
	}
	return c
}

// newKeyPEM returns a key that belongs to no certificate.
func newKeyPEM() string {
	key, _ := newCSR("nobody.example.com")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func newCSR(name string) (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: name},
		DNSNames: []string{name},
	}, key)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// fields returns the data of the client's request.
func (k *client) fields() map[string]any {
	data := map[string]any{"common_name": k.request.commonName()}
	if k.csr != "" {
		data = map[string]any{"csr": k.csr}
	}
	if k.request.ID != "" {
		data["request_id"] = k.request.ID
	}
	return data
}

// ask sends the client's request. how is issue, async or order.
func (w *world) ask(c *client, how string, extra map[string]any) *call {
	verb, data := "issue", c.fields()
	if c.csr != "" {
		verb = "sign"
	}
	switch how {
	case "async":
		data["async"] = true
	case "order":
		verb = "orders"
	}
	for k, v := range extra {
		data[k] = v
	}
	return w.send(&call{
		what: how + " " + c.request.Name, op: logical.UpdateOperation,
		path: verb + "/" + c.request.Role, data: data,
		who: requesters[c.request.Who], request: &c.request,
		answer: func(call *call) { w.learn(c, call) },
	})
}

var orderID = regexp.MustCompile(`order ([0-9a-f]{8}-[0-9a-f-]{27})`)

// learn records what a client learns from an answer.
func (w *world) learn(c *client, call *call) {
	if call.lost() {
		c.unheard++
		return
	}
	id := call.text("order_id")
	if call.resp != nil && call.resp.IsError() {
		c.refusal = call.resp.Error().Error()
		if m := orderID.FindStringSubmatch(c.refusal); m != nil &&
			!strings.Contains(c.refusal, "belongs to") &&
			!strings.Contains(c.refusal, "already names another") {
			id = m[1]
		}
		if strings.Contains(c.refusal, "budget \"") {
			c.finished = c.refusal // asking again does not help
		}
		if strings.Contains(c.refusal, "already names another") && !w.moved &&
			!w.namedBefore(c.request) {
			w.violate("privacy/name",
				"%s was told that %q already names another request, but has made no other of that "+
					"name: %s",
				c.request.Who, c.request.ID, c.refusal)
		}
	}
	if id == "" {
		return
	}
	if !slices.Contains(c.orders, id) {
		c.orders = append(c.orders, id)
	}
	if before, known := w.books.told[id]; known && before != c.request.Who {
		w.violate("privacy/order", "order %s was told to %s and to %s", id, before, c.request.Who)
	}
	w.books.told[id] = c.request.Who
}

// namedBefore reports whether the requester has used the request's name for another request of the
// same role.
func (w *world) namedBefore(r Request) bool {
	return slices.ContainsFunc(w.asked, func(other Request) bool {
		return other != r && other.Who == r.Who && other.Role == r.Role && other.ID == r.ID
	})
}

// order returns the id of the latest order that the client was told of; empty if there is none.
func (k *client) order() string {
	if len(k.orders) == 0 {
		return ""
	}
	return k.orders[len(k.orders)-1]
}

// serial returns the latest certificate that the client received; empty if there is none.
func (k *client) serial() string {
	if len(k.serials) == 0 {
		return ""
	}
	return k.serials[len(k.serials)-1]
}

// delivered records and checks an answer that contains a certificate, whether or not it reaches its
// caller.
func (w *world) delivered(c *call) {
	serial := c.text("serial_number")
	w.books.handovers = append(w.books.handovers,
		handover{at: w.moment(), call: c, heard: !c.lost(), serial: serial})
	if c.resp.Secret != nil {
		w.vault.register(c)
	}
	if c.request == nil {
		return
	}
	k := w.client(*c.request)
	if problem := w.examine(k, c); problem != "" {
		w.violate("answer/content", "%s was handed certificate %s for %s: %s", k.request.Who,
			serial, k.request.commonName(), problem)
	}
	for _, h := range w.books.handovers {
		if h.serial == serial && h.call.who.name != c.who.name {
			w.violate("privacy/certificate", "certificate %s was handed to %s and to %s", serial,
				h.call.who.name, c.who.name)
		}
	}
	for _, h := range w.books.handovers {
		if c.forced() && h.serial == serial && h.heard && h.at.true.Before(c.started) &&
			!beforeRollback(w, h.call.started) {
			w.violate("answer/forced",
				"%s wanted another certificate (force_new) and received %s again", k.request.Who,
				serial)
		}
	}
	if told := w.books.revoked[serial]; !told.IsZero() && told.Before(c.started) &&
		!beforeRollback(w, told) {
		w.violate("answer/revoked",
			"%s received %s after another answer had said that it is revoked or will be",
			k.request.Who, serial)
	}
	if c.lost() {
		return
	}
	k.wants = false
	if due, told := c.resp.Data["renew_after"].(int64); told {
		k.renewAfter = time.Unix(due, 0)
	}
	if !slices.Contains(k.serials, serial) {
		k.serials = append(k.serials, serial)
	}
	if key := c.text("private_key"); key != "" {
		k.keyPEM[serial] = key
	}
}

// forced reports whether a call refuses certificates that were delivered before.
func (c *call) forced() bool { return c.data["force_new"] == true }

// examine describes what is wrong with a delivered certificate; empty if it is correct.
func (w *world) examine(k *client, c *call) string {
	leaf, err := parseCertificate(c.text("certificate"))
	if err != nil {
		return err.Error()
	}
	public, err := k.publicKey(c.text("private_key"))
	switch {
	case err != nil:
		return err.Error()
	case !public.Equal(leaf.PublicKey):
		return "it has another key"
	case w.released[c.text("order_id")]:
		return "" // whatever it is, an operator has looked at it
	}
	return examineContent(w, k, c, leaf)
}

// examineContent is examine for all but the key.
func examineContent(w *world, k *client, c *call, leaf *x509.Certificate) string {
	switch {
	case leaf.Subject.CommonName != k.request.commonName() ||
		!slices.Equal(leaf.DNSNames, []string{k.request.commonName()}):
		return fmt.Sprintf("it is for %s %v", leaf.Subject.CommonName, leaf.DNSNames)
	case len(leaf.EmailAddresses)+len(leaf.URIs)+len(leaf.IPAddresses) > 0, hasOtherName(leaf):
		return "it has a name of a kind that nobody ordered"
	case leaf.IsCA:
		return "it is a CA"
	case leaf.NotBefore.After(latestNow(w)):
		return "it has not begun"
	case leaf.NotAfter.Sub(leaf.NotBefore) > 398*24*time.Hour:
		return "it is valid for too long"
	}
	pool := x509.NewCertPool()
	chain, _ := c.resp.Data["ca_chain"].([]string)
	for _, text := range chain {
		up, err := parseCertificate(text)
		if err != nil {
			return err.Error()
		}
		pool.AddCert(up)
	}
	err := verifies(w, leaf, x509.VerifyOptions{
		Intermediates: pool,
		CurrentTime:   leaf.NotBefore.Add(time.Hour),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return err.Error()
	}
	return ""
}

// forgery returns a self-signed certificate with the serial number of another certificate.
func forgery(serial string) string {
	number, ok := new(big.Int).SetString(plain(serial), 16)
	if !ok {
		panic(serial)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: number,
		Subject:      pkix.Name{CommonName: "forged"},
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

type publicKey interface{ Equal(crypto.PublicKey) bool }

// publicKey returns the key that the client's certificate must contain. private is the private key
// in the answer, if any.
func (k *client) publicKey(private string) (publicKey, error) {
	block, _ := pem.Decode([]byte(private))
	switch {
	case k.key != nil && private != "":
		return nil, fmt.Errorf("a key came with it, although the client has its own")
	case k.key != nil:
		return &k.key.PublicKey, nil
	case block == nil:
		return nil, fmt.Errorf("no key came with it")
	}
	return publicOf(block)
}

func publicOf(private *pem.Block) (publicKey, error) {
	if key, err := x509.ParseECPrivateKey(private.Bytes); err == nil {
		return &key.PublicKey, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	if err != nil {
		return nil, fmt.Errorf("its key cannot be read: %w", err)
	}
	return key.(*ecdsa.PrivateKey).Public().(publicKey), nil
}

// keyHash is the hash by which CERTInext's books name the public half of a private key.
func keyHash(private string) string {
	block, _ := pem.Decode([]byte(private))
	if block == nil {
		return ""
	}
	public, err := publicOf(block)
	if err != nil {
		return ""
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(spki))
}

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("it is not PEM: %.40q", text)
	}
	return x509.ParseCertificate(block.Bytes)
}
