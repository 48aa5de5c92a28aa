# For the people who run the mount: the account, the roles, domains, and the orders of all teams. There is nothing about issue, sign and collect here,
# and so no keys.

# ordering=paused stops all buying
path "certinext/config" {
  capabilities = ["read", "update", "delete"]
}

# Which keys clients refuse, and whose roots are known
path "certinext/config/trust" {
  capabilities = ["list", "read", "update"]
}

path "certinext/config/trust/*" {
  capabilities = ["list", "read", "update", "delete"]
}

# Would orders be taken? And what "vault pki health-check" looks at
path "certinext/config/+" {
  capabilities = ["read"]
}

# What the account may order, and what it cost
path "certinext/catalog/*" {
  capabilities = ["read"]
}

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

path "certinext/reports/*" {
  capabilities = ["read"]
}

# Writing it has the budgets count what CERTInext's ledger says was paid back, or charged
path "certinext/reports/spend" {
  capabilities = ["read", "update"]
}

path "certinext/roles/*" {
  capabilities = ["list", "read", "update", "patch", "delete"]
}

path "certinext/roles" {
  capabilities = ["list"]
}

# What may be spent
path "certinext/budgets/*" {
  capabilities = ["list", "read", "update", "delete"]
}

path "certinext/budgets" {
  capabilities = ["list"]
}

path "certinext/domains" {
  capabilities = ["list", "read"]
}

path "certinext/domains/*" {
  capabilities = ["list", "read", "update", "delete"]
}

path "certinext/dcv/solvers/*" {
  capabilities = ["list", "read", "update", "patch", "delete"]
}

# Looking at orders and certificates: searched, filtered and sorted
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

# Settling an order in doubt, ending one, handing one over, and releasing a certificate that is not what was ordered
path "certinext/operator/orders/+/+" {
  capabilities = ["update"]
}

# Whether a charge has ended the reissues of a role, and allowing them again
path "certinext/operator/renewal/+" {
  capabilities = ["read", "update"]
}

# Why a queued revocation cannot be tried, and ending such a one
path "certinext/operator/revocations/+" {
  capabilities = ["read", "update"]
}

# What to publish for an order's domains
path "certinext/orders/+/+/dcv" {
  capabilities = ["read", "update"]
}

path "certinext/orders/+/+/download/+" {
  capabilities = ["read"]
}

# Any certificate of the mount; with its key, too, when somebody shows that it is out
path "certinext/revoke" {
  capabilities = ["update"]
}

path "certinext/revoke-with-key" {
  capabilities = ["update"]
}

path "certinext/issuer/+" {
  capabilities = ["read"]
}

path "certinext/certs/*" {
  capabilities = ["list"]
}

path "certinext/certs" {
  capabilities = ["list"]
}

path "certinext/cert/*" {
  capabilities = ["read"]
}

# Giving certificates that were ordered elsewhere to a role
path "certinext/operator/adopt/+" {
  capabilities = ["update"]
}

path "certinext/operator/adopt/+/+" {
  capabilities = ["delete"]
}

path "certinext/status" {
  capabilities = ["read"]
}

path "certinext/metrics" {
  capabilities = ["read"]
}

path "certinext/sync" {
  capabilities = ["read", "update"]
}

path "certinext/replace" {
  capabilities = ["list"]
}

path "certinext/replace/*" {
  capabilities = ["read", "create", "update", "delete", "list"]
}

path "certinext/tidy" {
  capabilities = ["update"]
}

path "certinext/tidy-status" {
  capabilities = ["read"]
}

path "certinext/tidy-cancel" {
  capabilities = ["update"]
}

path "certinext/config/auto-tidy" {
  capabilities = ["read", "update"]
}

# Mounting the engine, and its plugin: what scripts/register.sh needs
path "sys/mounts/certinext" {
  capabilities = ["read", "create", "update"]
}

path "sys/mounts/certinext/tune" {
  capabilities = ["read", "update"]
}

path "sys/plugins/catalog" {
  capabilities = ["read"]
}

path "sys/plugins/catalog/secret/vault-plugin-secrets-certinext" {
  capabilities = ["sudo", "create", "update", "read"]
}

path "sys/plugins/reload/backend" {
  capabilities = ["sudo", "update"]
}
