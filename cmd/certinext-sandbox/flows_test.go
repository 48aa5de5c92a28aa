// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
)

// These are the flows that the two known clients of the live service run,
// written out with net/http against the built binary.

const sslPath = "/api/certinext/v2/ssl-certificates"

type object = map[string]any

func (p *process) login() string {
	p.t.Helper()
	resp, err := http.PostForm(p.url+"/oauth/token", url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {"1234567890"},
		"client_secret": {"sandbox-client-secret"},
	})
	require.NoError(p.t, err)
	defer resp.Body.Close()
	require.Equal(p.t, http.StatusOK, resp.StatusCode)
	var v struct {
		AccessToken string `json:"access_token"`
	}
	require.NoError(p.t, json.NewDecoder(resp.Body).Decode(&v))
	return v.AccessToken
}

func request(t *testing.T, name string) (crypto.Signer, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	require.NoError(t, err)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

func order(variant, domain string) object {
	return object{
		"productVariant":     variant,
		"emailNotifications": "0",
		"requestor": object{
			"name":  "Platform Team",
			"email": "platform@example.com",
			"phone": "+14155551234",
		},
		"certificate":  object{"domain": domain, "autoSecureWww": false},
		"subscription": object{"validityYears": 1, "autoRenew": false, "renewBeforeDays": 30},
		"agreement": object{
			"signerName":  "Platform Team",
			"signerPlace": "New York",
			"signerIp":    "203.0.113.7",
			"accepted":    true,
		},
		"technicalPointOfContact": object{
			"name":        "T C",
			"email":       "tc@example.com",
			"phone":       "+14155550199",
			"designation": "Technical Contact",
		},
		"remarks": "flow test",
		"tags":    []string{"flow:test"},
	}
}

// poll tracks an order until step says that it is done.
func (p *process) poll(path, token string, step func(track object) bool) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		status, track := p.call("GET", path, token, nil)
		require.Equal(p.t, http.StatusOK, status)
		if step(track) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatal("the order did not get anywhere")
}

// download retries 422, which is the answer for some seconds after "issued".
func (p *process) download(path, token string) (v object, refusals int) {
	p.t.Helper()
	for refusals < 100 {
		status, v := p.call("GET", path+"/certificate", token, nil)
		if status == http.StatusOK {
			return v, refusals
		}
		require.Equal(p.t, 422, status)
		require.Contains(p.t, v["detail"], "EMS-1165")
		refusals++
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatal("the certificate never came")
	return nil, 0
}

func (p *process) requireCertificate(v object, key crypto.Signer, name string) {
	p.t.Helper()
	parse := func(text any) *x509.Certificate {
		block, _ := pem.Decode([]byte(text.(string)))
		require.NotNil(p.t, block)
		cert, err := x509.ParseCertificate(block.Bytes)
		require.NoError(p.t, err)
		return cert
	}
	resp, err := http.Get(p.url + "/_sandbox/roots.pem")
	require.NoError(p.t, err)
	defer resp.Body.Close()
	roots, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	pool, intermediates := x509.NewCertPool(), x509.NewCertPool()
	require.True(p.t, pool.AppendCertsFromPEM(roots))
	for _, c := range v["chainPem"].([]any) {
		intermediates.AddCert(parse(c))
	}
	cert := parse(v["certificatePem"])
	_, err = cert.Verify(x509.VerifyOptions{
		Roots:         pool,
		Intermediates: intermediates,
		DNSName:       name,
	})
	require.NoError(p.t, err)
	require.Equal(p.t, key.Public(), cert.PublicKey)
	require.True(p.t, strings.HasPrefix(cert.OCSPServer[0], p.url))
}

// The first client: domains are validated beforehand, the CSR comes with the
// order, and a loop answers whatever status it meets, ignoring refusals.
func TestFlowOfThePreValidatedClient(t *testing.T) {
	for name, body := range map[string]object{
		"DV": order("dv", "host.example.edu"),
		"OV": func() object {
			o := order("ov", "host.example.edu")
			o["organization"] = object{
				"organizationNumber": "4000001",
				"preVetted":          true,
				"preVettingToken":    "5ca1ab1e00c0ffee5ca1ab1e00c0ffee",
			}
			return o
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, "-dialect", "live", "-verified-domains", "example.edu", "-issue-delay",
				"200ms", "-pem-lag", "200ms")
			token := p.login()
			key, csr := request(t, "host.example.edu")
			body["csr"] = csr
			status, created := p.call("POST", sslPath, token, body)
			require.Equal(t, http.StatusCreated, status, created)
			path := sslPath + "/" + url.PathEscape(created["orderId"].(string))
			p.poll(path, token, func(track object) bool {
				switch track["status"] {
				case "pending-agreement":
					p.call("POST", path+"/agreement", token, object{"agreement": body["agreement"]})
				case "pending-csr":
					p.call("PUT", path+"/csr", token, object{"csr": csr, "attested": false})
				case "pending-dcv":
					p.call("GET", path+"/dcv", token, nil)
				}
				return track["status"] == "issued"
			})
			v, refusals := p.download(path, token)
			require.Positive(t, refusals, "issued comes before the PEM")
			p.requireCertificate(v, key, "host.example.edu")

			status, page := p.call("GET",
				"/api/certinext/v2/reports/orders?page=1&size=50&status=issued", token, nil)
			require.Equal(t, http.StatusOK, status)
			row := page["content"].([]any)[0].(object)
			require.Equal(t, created["orderId"], row["orderNumber"])
			require.Equal(t, []any{"flow:test"}, row["tags"])
		})
	}
}

// The second client: the catalog first, then the order, then the CSR at once
// although DCV is open, then DCV name by name over DNS, then the pickup.
func TestFlowOfTheValidatingClient(t *testing.T) {
	records := new(txtRecords)
	p := start(t, "-dialect", "live", "-resolver", records.serve(t), "-issue-delay", "100ms")
	token := p.login()
	status, catalog := p.call("GET", "/api/certinext/v2/catalog/products", token, nil)
	require.Equal(t, http.StatusOK, status)
	require.NotEmpty(t, catalog["products"])

	body := order("dv", "a.example.com")
	body["certificate"] = object{
		"domain":            "a.example.com",
		"additionalDomains": []string{"b.example.com"},
		"autoSecureWww":     false,
	}
	status, created := p.call("POST", sslPath, token, body)
	require.Equal(t, http.StatusCreated, status, created)
	path := sslPath + "/" + created["orderId"].(string)
	key, csr := request(t, "a.example.com")
	status, _ = p.call("PUT", path+"/csr", token, object{"csr": csr, "attested": false})
	require.Equal(t, http.StatusNoContent, status)

	_, track := p.call("GET", path, token, nil)
	for _, e := range track["verifications"].(object)["domain"].(object)["domains"].([]any) {
		domain := e.(object)["domain"].(string)
		require.Equal(t, "PENDING", e.(object)["dcvStatus"])
		verify := func() (int, object) {
			return p.call("POST", path+"/dcv/verify", token,
				object{"domain": domain, "method": "dns-txt"})
		}
		_, challenge := p.call("GET", path+"/dcv?domain="+domain+"&method=dns-txt", token, nil)
		status, refusal := verify()
		require.Equal(t, 422, status)
		require.Equal(t, "RECORD_MISSING", refusal["diagnostics"].(object)["failureClass"])
		records.set("_emudhra-challenge."+domain, challenge["token"].(string))
		status, _ = verify()
		require.Equal(t, http.StatusOK, status)
		status, again := verify()
		require.Equal(t, 422, status)
		require.Contains(t, again["detail"], "EMS-1080")
	}
	p.poll(path, token, func(track object) bool { return track["status"] == "issued" })
	v, _ := p.download(path, token)
	p.requireCertificate(v, key, "b.example.com")

	status, _ = p.call("POST", path+"/revoke", token,
		object{"reason": "cessation-of-operation", "note": "test over"})
	require.Equal(t, http.StatusNoContent, status)
	status, _ = p.call("POST", path+"/revoke", token, object{"reason": "cessation-of-operation"})
	require.Equal(t, http.StatusNotFound, status)
	_, track = p.call("GET", path, token, nil)
	require.Equal(t, "revoked", track["status"])
}

// The second client's way out: a refused CSR cancels the new order, once.
func TestFlowOfARefusedCSR(t *testing.T) {
	p := start(t, "-dialect", "live")
	token := p.login()
	_, created := p.call("POST", sslPath, token, order("dv", "a.example.com"))
	path := sslPath + "/" + created["orderId"].(string)
	_, csr := request(t, "other.example.com")
	status, refusal := p.call("PUT", path+"/csr", token, object{"csr": csr})
	require.Equal(t, 422, status)
	require.Contains(t, refusal["detail"], "EMS-917")
	status, _ = p.call("POST", path+"/cancel", token, object{"reason": "CSR refused"})
	require.Equal(t, http.StatusNoContent, status)
	_, page := p.call("GET", "/api/certinext/v2/reports/orders", token, nil)
	require.Equal(t, "Order Cancelled", page["content"].([]any)[0].(object)["orderStatus"])
}

// txtRecords is a DNS server with TXT records.
type txtRecords struct {
	mu     sync.Mutex
	values map[string]string
}

func (z *txtRecords) set(name, value string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.values == nil {
		z.values = make(map[string]string)
	}
	z.values[name] = value
}

func (z *txtRecords) serve(t *testing.T) string {
	t.Helper()
	conn, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(buf[:n]) == nil && len(query.Questions) == 1 {
				out, _ := z.answer(query).Pack()
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

func (z *txtRecords) answer(query dnsmessage.Message) *dnsmessage.Message {
	z.mu.Lock()
	defer z.mu.Unlock()
	q := query.Questions[0]
	reply := &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true},
		Questions: query.Questions,
	}
	value, ok := z.values[strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))]
	if !ok || q.Type != dnsmessage.TypeTXT {
		reply.RCode = dnsmessage.RCodeNameError
		return reply
	}
	reply.Answers = []dnsmessage.Resource{{
		Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
		Body:   &dnsmessage.TXTResource{TXT: []string{value}},
	}}
	return reply
}
