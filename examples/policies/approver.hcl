# For the people who approve orders of roles with require_approval=true. They see what would be ordered and for whom, and decide on it; what they have asked for
# themselves, the engine leaves to others. For the orders of one role only, name it in the place of the first +, and leave out the list of all.

path "certinext/approvals" {
  capabilities = ["list"]
}

path "certinext/approvals/+" {
  capabilities = ["list"]
}

path "certinext/approvals/+/+" {
  capabilities = ["read", "update"]
}
