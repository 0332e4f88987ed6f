package main

import "context"

// contextForKubelet is the kubelet's root context; it ends with the process.
func contextForKubelet() context.Context { return context.Background() }
