# A mount with its account, roles and policies.
#
# The engine's own fields are written with vault_generic_endpoint, which takes whatever the mount takes. A role in the terms of
# Vault's PKI engine is a vault_pki_secret_backend_role: the account's default_product_code says which product it orders.

terraform {
  required_providers {
    vault = {
      source = "hashicorp/vault"
    }
  }
}

variable "client_id" {
  description = "CERTInext's OAuth client, the number of the account."
  type        = string
}

variable "client_secret" {
  type      = string
  sensitive = true
}

variable "product_code" {
  description = "A DV product of the account: vault read certinext/catalog/products"
  type        = string
}

resource "vault_mount" "certinext" {
  path = "certinext"
  type = "vault-plugin-secrets-certinext"

  # At least the life of a certificate: a lease that ends before revokes its certificate.
  max_lease_ttl_seconds = 400 * 24 * 3600
}

resource "vault_generic_endpoint" "config" {
  path = "${vault_mount.certinext.path}/config"

  # Secrets are written and never read, so there is nothing to compare.
  disable_read         = true
  ignore_absent_fields = true

  data_json = jsonencode({
    base_url                = "https://us-api.certinext.io"
    client_id               = var.client_id
    client_secret           = var.client_secret
    requestor_name          = "Platform Team"
    requestor_email         = "platform@example.com"
    requestor_phone         = "+14155550123"
    signer_place            = "Bengaluru"
    signer_ip               = "203.0.113.7"
    technical_contact_name  = "Platform Team"
    technical_contact_email = "platform@example.com"
    technical_contact_phone = "+14155550123"
    default_product_code    = var.product_code
  })
}

# With this engine's own fields
resource "vault_generic_endpoint" "agent" {
  depends_on = [vault_generic_endpoint.config]

  path                 = "${vault_mount.certinext.path}/roles/agent"
  ignore_absent_fields = true

  data_json = jsonencode({
    product_code     = var.product_code
    allowed_domains  = ["example.com"]
    allow_subdomains = true
    generate_lease   = false
    issue_timeout    = 45
  })
}

# For certificates that Terraform itself orders, replaces and revokes: within a reuse window, the replacement would be the same certificate,
# which Terraform would then revoke.
resource "vault_generic_endpoint" "terraform" {
  depends_on = [vault_generic_endpoint.config]

  path                 = "${vault_mount.certinext.path}/roles/terraform"
  ignore_absent_fields = true

  data_json = jsonencode({
    product_code     = var.product_code
    allowed_domains  = ["example.com"]
    allow_subdomains = true
    generate_lease   = false
    reuse_window     = 0
  })
}

resource "vault_pki_secret_backend_cert" "www" {
  depends_on = [vault_generic_endpoint.terraform]

  backend     = vault_mount.certinext.path
  name        = "terraform"
  common_name = "www.example.com"
  auto_renew  = true
  revoke      = true

  # The certificate in use is revoked when its successor is there, and not before.
  lifecycle {
    create_before_destroy = true
  }
}

# In the terms of Vault's PKI engine, which have no reuse_window: for certificates that are not revoked when they are replaced
resource "vault_pki_secret_backend_role" "web" {
  depends_on = [vault_generic_endpoint.config]

  backend          = vault_mount.certinext.path
  name             = "web"
  allowed_domains  = ["example.com"]
  allow_subdomains = true
}

resource "vault_policy" "certinext" {
  for_each = toset(["team", "approver", "operator", "auditor"])

  name   = "certinext-${each.key}"
  policy = file("${path.module}/../policies/${each.key}.hcl")
}
