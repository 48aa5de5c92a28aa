// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package e2e tells whole stories: a real Vault server with the plugin as its own process, a
// simulated CA behind it, and the programs that people put in front of it. Everything listens on
// loopback and ends with its test.
//
// The server is OpenBao's where BAO_BIN names it. Otherwise it is Vault's: $VAULT_BIN, else the one
// that scripts/vault-binary.sh finds or builds;
// consul-template is $CONSUL_TEMPLATE_BIN, else the one of scripts/consul-template-binary.sh, and
// oapi-codegen $OAPI_CODEGEN_BIN, else the one of scripts/oapi-codegen-binary.sh.
// Ansible and Python are those on the PATH, whose stories are skipped where they are missing; those
// of Terraform itself are run where TERRAFORM_BIN and TERRAFORM_PROVIDER_VAULT are the paths of
// terraform and of terraform-provider-vault.
// go test -short leaves the stories out. E2E_FAILS_FOR=1h lets Vault Agent's broken templates fail
// for an hour instead of a minute.
package e2e
