job "www" {
  group "www" {
    network {
      port "https" {}
    }

    task "nginx" {
      driver = "docker"

      config {
        image = "nginx:stable"
        ports = ["https"]
      }

      vault {
        role = "nomad-www"
      }

      template {
        destination   = "secrets/www.pem"
        perms         = "0600"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<EOT
{{- with pkiCert "certinext/issue/nomad" "common_name=www.example.com" -}}
{{ .Cert }}{{ range .CAChain }}{{ . }}{{ end }}{{ .Key }}
{{- end -}}
EOT
      }
    }
  }
}
