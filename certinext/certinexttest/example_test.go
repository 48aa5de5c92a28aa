// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// The zero value is a working server, and its client needs no socket: any host
// name will do.
func ExampleServer_Client() {
	srv := new(certinexttest.Server)
	resp, err := srv.Client().PostForm("http://certinext.test/oauth/token", url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {certinexttest.DefaultAccountNumber},
		"client_secret": {certinexttest.DefaultClientSecret},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	var token struct {
		TokenType string `json:"token_type"`
		ExpiresIn int    `json:"expires_in"`
	}
	err = json.NewDecoder(resp.Body).Decode(&token)
	fmt.Println(token.TokenType, token.ExpiresIn, err)
	fmt.Println(srv.Calls())
	// Output:
	// Bearer 3600 <nil>
	// map[token:1]
}

// A reply that is lost after the order was accepted: the client sees an error,
// and the CA has an order that will be paid for.
func ExampleServer_Inject() {
	srv := new(certinexttest.Server)
	srv.Inject(certinexttest.Fault{
		Operation: certinexttest.OpCreateSSL,
		Kind:      certinexttest.FaultLostReply,
		Times:     1,
	})
}

// A server with settings of its own and a fault that waits: the first reply is lost, the second
// one arrives.
func ExampleServer_LoadSettings() {
	srv := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
	if err := srv.LoadSettings([]byte(`{"issueDelay":"20s","newKeysOnly":true}`)); err != nil {
		panic(err)
	}
	srv.Inject(certinexttest.Fault{
		Operation: certinexttest.OpToken, Kind: certinexttest.FaultLostReply, Times: 1,
	})
	signIn := func() error {
		resp, err := srv.Client().PostForm("http://certinext.test/oauth/token", url.Values{
			"grant_type":    {"client_credentials"},
			"client_id":     {certinexttest.DefaultAccountNumber},
			"client_secret": {certinexttest.DefaultClientSecret},
		})
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	fmt.Println(signIn() != nil, signIn() == nil, srv.Calls()[certinexttest.OpToken])
	// Output:
	// true true 2
}
