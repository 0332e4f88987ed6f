//go:build tools

// Package tools pins the published commands that the lab builds: istiod, the proxy's agent, the installer.
package tools

import (
	_ "istio.io/istio/istioctl/cmd/istioctl"
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
