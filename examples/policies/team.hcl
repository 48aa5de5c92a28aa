# A team that orders its own certificates, with a role of its name: here "web".

path "certinext/issue/web" {
  capabilities = ["update"]
}

path "certinext/sign/web" {
  capabilities = ["update"]
}

# What is open, what it waits for, fetching it, cancelling it
path "certinext/orders/web" {
  capabilities = ["list", "update"]
}

path "certinext/orders/web/" {
  capabilities = ["list"]
}

# Whose orders the team may cancel, promote and reissue is the role's order_access. Settling an order in doubt is for operators, at
# operator/orders/: whoever declares a paid order "never placed" makes the next request buy again.
path "certinext/orders/web/*" {
  capabilities = ["read", "update", "delete"]
}

# Only certificates of this role; "certinext/revoke" would be any of the mount. Requests of one identity that are the same share a
# certificate: revoking it is revoking it for all of them.
path "certinext/revoke/web" {
  capabilities = ["update"]
}

path "certinext/renew/web/*" {
  capabilities = ["update"]
}

# What the team has: searched, filtered and sorted
path "certinext/inventory/certs/web" {
  capabilities = ["read"]
}

path "certinext/inventory/orders/web" {
  capabilities = ["read"]
}
