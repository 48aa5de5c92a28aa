# For people who look and change nothing: settings without their secrets, orders, certificates, and what was spent.

path "certinext/config" {
  capabilities = ["read"]
}

path "certinext/roles" {
  capabilities = ["list"]
}

path "certinext/roles/*" {
  capabilities = ["list", "read"]
}

path "certinext/orders/+" {
  capabilities = ["list"]
}

path "certinext/orders/+/+" {
  capabilities = ["list", "read"]
}

path "certinext/certs" {
  capabilities = ["list"]
}

path "certinext/certs/*" {
  capabilities = ["list"]
}

path "certinext/cert/*" {
  capabilities = ["read"]
}

path "certinext/account" {
  capabilities = ["read"]
}

path "certinext/reports/*" {
  capabilities = ["read"]
}
