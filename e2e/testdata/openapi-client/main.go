// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Command openapi-client gets a certificate, looks it up and revokes it, with nothing but a client
// that was generated from Vault's OpenAPI document. Fields that the document does not name, or of
// another type, end it with an error. It prints the certificate's serial number.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"

	"github.com/certinext/vault-plugin-secrets-certinext/tools/openapi/client"
)

func main() {
	serial, err := run(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "openapi-client:", err)
		os.Exit(1)
	}
	fmt.Println(serial)
}

func run(ctx context.Context) (serial string, err error) {
	vault, err := client.NewClientWithResponses(os.Getenv("VAULT_ADDR")+"/v1",
		client.WithRequestEditorFn(func(_ context.Context, req *http.Request) error {
			req.Header.Set("X-Vault-Token", os.Getenv("VAULT_TOKEN"))
			return nil
		}))
	if err != nil {
		return "", err
	}

	role, wait := "generated", "30s"
	written, err := vault.CertinextWriteRoleWithResponse(ctx, role, client.CertinextWriteRoleRequest{
		ProductCode: of("842"), ProductVariant: of("dv"), AllowedDomains: of([]string{"example.com"}),
		AllowSubdomains: of(true), IssueTimeout: &wait, GenerateLease: of(false),
	})
	if err != nil {
		return "", err
	}
	if written.StatusCode() >= http.StatusMultipleChoices {
		return "", fmt.Errorf("writing the role: %s: %s", written.Status(), written.Body)
	}
	stored, err := vault.CertinextReadRoleWithResponse(ctx, role)
	if err != nil {
		return "", err
	}
	var settings client.CertinextReadRoleResponse
	if err := data(stored.Body, &settings); err != nil {
		return "", fmt.Errorf("reading the role: %w", err)
	}
	if timeout := *settings.IssueTimeout; timeout != 30 {
		return "", fmt.Errorf("an issue_timeout of %s was written, and %d is read", wait, timeout)
	}

	answer, err := vault.CertinextIssueWithRoleWithResponse(ctx, role,
		client.CertinextIssueWithRoleRequest{CommonName: of("generated.example.com")})
	if err != nil {
		return "", err
	}
	var issued client.CertinextIssueWithRoleResponse
	if err := data(answer.Body, &issued); err != nil {
		return "", fmt.Errorf("issuing: %w", err)
	}
	if block, _ := pem.Decode([]byte(*issued.Certificate)); block == nil {
		return "", fmt.Errorf("%q is no certificate", *issued.Certificate)
	}
	if *issued.Expiration == 0 || len(*issued.CaChain) == 0 || *issued.PrivateKey == "" {
		return "", fmt.Errorf("the answer lacks expiration, chain or key")
	}

	found, err := vault.CertinextReadCertificateWithResponse(ctx, *issued.SerialNumber)
	if err != nil {
		return "", err
	}
	var record client.CertinextReadCertificateResponse
	if err := data(found.Body, &record); err != nil {
		return "", fmt.Errorf("reading the certificate: %w", err)
	}
	if *record.Certificate != *issued.Certificate || *record.Role != role {
		return "", fmt.Errorf("the certificate of role %s is another one", *record.Role)
	}

	list, err := vault.CertinextListCertificatesWithResponse(ctx,
		&client.CertinextListCertificatesParams{List: client.CertinextListCertificatesParamsListTrue, Limit: of(10)})
	if err != nil {
		return "", err
	}
	var certificates client.CertinextListCertificatesResponse
	if err := data(list.Body, &certificates); err != nil {
		return "", fmt.Errorf("listing certificates: %w", err)
	}
	if keys := *certificates.Keys; len(keys) != 1 || keys[0] != *issued.SerialNumber {
		return "", fmt.Errorf("the certificates are %q", keys)
	}

	ended, err := vault.CertinextRevokeCertificateWithResponse(ctx, client.CertinextRevokeCertificateRequest{
		SerialNumber: issued.SerialNumber, Reason: of("superseded"),
	})
	if err != nil {
		return "", err
	}
	var revoked client.CertinextRevokeCertificateResponse
	if err := data(ended.Body, &revoked); err != nil {
		return "", fmt.Errorf("revoking: %w", err)
	}
	if *revoked.State != "revoked" {
		return "", fmt.Errorf("the certificate is %s", *revoked.State)
	}
	return *issued.SerialNumber, nil
}

func of[T any](v T) *T { return &v }

// data decodes what Vault has put into data, which is what its document describes.
func data(body []byte, into any) error {
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if len(answer.Errors) > 0 || len(answer.Data) == 0 {
		return fmt.Errorf("answered %s", body)
	}
	d := json.NewDecoder(bytes.NewReader(answer.Data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
