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

path "certinext/orders/web/*" {
  capabilities = ["read", "update", "delete"]
}

# Only certificates of this role; "certinext/revoke" would be any of the mount
path "certinext/revoke/web" {
  capabilities = ["update"]
}

path "certinext/renew/web/*" {
  capabilities = ["update"]
}
