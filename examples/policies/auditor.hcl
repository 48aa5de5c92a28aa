# For people who look and change nothing: settings without their secrets, orders, certificates, and what was spent. Certificates can be
# downloaded, without keys.

path "certinext/config" {
  capabilities = ["read"]
}

path "certinext/config/+" {
  capabilities = ["read"]
}

path "certinext/config/trust" {
  capabilities = ["list", "read"]
}

path "certinext/config/trust/*" {
  capabilities = ["list", "read"]
}

path "certinext/roles" {
  capabilities = ["list"]
}

path "certinext/roles/*" {
  capabilities = ["list", "read"]
}

# What may be spent, and is
path "certinext/budgets" {
  capabilities = ["list"]
}

path "certinext/budgets/*" {
  capabilities = ["list", "read"]
}

path "certinext/dcv/solvers/*" {
  capabilities = ["list", "read"]
}

# The account: what it is vetted and validated for, what it may order, and what it has paid
path "certinext/account" {
  capabilities = ["read"]
}

path "certinext/groups" {
  capabilities = ["read"]
}

path "certinext/organizations" {
  capabilities = ["read"]
}

path "certinext/organizations/*" {
  capabilities = ["read"]
}

path "certinext/domains" {
  capabilities = ["list", "read"]
}

path "certinext/domains/*" {
  capabilities = ["list", "read"]
}

path "certinext/catalog/*" {
  capabilities = ["read"]
}

path "certinext/reports/*" {
  capabilities = ["read"]
}

# What was ordered. What to publish for an order's domains is not here: reading it has CERTInext make challenges where there are none.
path "certinext/inventory/+" {
  capabilities = ["read"]
}

path "certinext/inventory/+/+" {
  capabilities = ["read"]
}

path "certinext/orders" {
  capabilities = ["list"]
}

path "certinext/orders/+" {
  capabilities = ["list"]
}

path "certinext/orders/+/+" {
  capabilities = ["list", "read"]
}

path "certinext/orders/+/+/download/+" {
  capabilities = ["read"]
}

# What waits for its approval, and who has decided what
path "certinext/approvals" {
  capabilities = ["list"]
}

path "certinext/approvals/+" {
  capabilities = ["list"]
}

path "certinext/approvals/+/+" {
  capabilities = ["read"]
}

# What was issued and revoked, and what waits to be
path "certinext/certs" {
  capabilities = ["list"]
}

path "certinext/certs/*" {
  capabilities = ["list"]
}

path "certinext/cert/*" {
  capabilities = ["read"]
}

path "certinext/issuer/+" {
  capabilities = ["read"]
}

path "certinext/operator/renewal/+" {
  capabilities = ["read"]
}

path "certinext/operator/revocations/+" {
  capabilities = ["read"]
}

path "certinext/status" {
  capabilities = ["read"]
}

path "certinext/metrics" {
  capabilities = ["read"]
}

path "certinext/sync" {
  capabilities = ["read"]
}

path "certinext/replace" {
  capabilities = ["list"]
}

path "certinext/replace/*" {
  capabilities = ["read", "list"]
}

path "certinext/tidy-status" {
  capabilities = ["read"]
}
