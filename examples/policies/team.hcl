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

#
# Writing to orders/web/<id> also settles an order in doubt, and whoever declares a paid order "never placed" makes the next request buy
# again. That is for operators. Vault cannot tell the two kinds of writing apart by their path, so they are told apart by their fields.
path "certinext/orders/web/*" {
  capabilities = ["read", "update", "delete"]
  denied_parameters = {
    "never_placed" = []
    "ca_order_id"  = []
  }
}

# Only certificates of this role; "certinext/revoke" would be any of the mount. Requests of one identity that are the same share a
# certificate: revoking it is revoking it for all of them.
path "certinext/revoke/web" {
  capabilities = ["update"]
}

path "certinext/renew/web/*" {
  capabilities = ["update"]
}
