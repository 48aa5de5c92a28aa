# For those who plan and do not buy, such as a pipeline that shows what a change would cost: what a request of theirs under the role
# "web" would come to. Without required_parameters, a request that does not mention dry_run would pass, and buy. The command line sends
# true as a text.

path "certinext/issue/web" {
  capabilities        = ["update"]
  required_parameters = ["dry_run"]
  allowed_parameters  = { "dry_run" = [true, "true"], "*" = [] }
}

path "certinext/sign/web" {
  capabilities        = ["update"]
  required_parameters = ["dry_run"]
  allowed_parameters  = { "dry_run" = [true, "true"], "*" = [] }
}

path "certinext/orders/web" {
  capabilities        = ["update"]
  required_parameters = ["dry_run"]
  allowed_parameters  = { "dry_run" = [true, "true"], "*" = [] }
}

path "certinext/renew/web/+" {
  capabilities        = ["update"]
  required_parameters = ["dry_run"]
  allowed_parameters  = { "dry_run" = [true, "true"], "*" = [] }
}
