module kubectl-egress.dev/lab/httpbin

go 1.26

require github.com/mccutchen/go-httpbin/v2 v2.15.0
