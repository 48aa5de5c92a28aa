# Who runs the mount: the account, the roles, domains, and orders of all teams. Not a line about issue and sign, and so no keys.

path "certinext/config" {
  capabilities = ["read", "update"]
}

path "certinext/config/check" {
  capabilities = ["read"]
}

path "certinext/catalog/*" {
  capabilities = ["read"]
}

path "certinext/roles/*" {
  capabilities = ["list", "read", "update", "patch", "delete"]
}

path "certinext/roles" {
  capabilities = ["list"]
}

path "certinext/domains/*" {
  capabilities = ["list", "read", "update", "delete"]
}

path "certinext/dcv/solvers/*" {
  capabilities = ["list", "read", "update", "patch", "delete"]
}

# Settling an order in doubt, cancelling one
path "certinext/orders/+" {
  capabilities = ["list"]
}

path "certinext/orders/+/+" {
  capabilities = ["list", "read", "update", "delete"]
}

path "certinext/revoke" {
  capabilities = ["update"]
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

path "certinext/sync" {
  capabilities = ["read", "update"]
}

# Mounting the engine, and its plugin
path "sys/mounts/certinext" {
  capabilities = ["read", "create", "update"]
}

path "sys/mounts/certinext/tune" {
  capabilities = ["read", "update"]
}
