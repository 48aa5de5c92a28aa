# Prometheus, which scrapes the metrics of the mount: docs/monitoring.md. It may read nothing else.
path "certinext/metrics" {
  capabilities = ["read"]
}
