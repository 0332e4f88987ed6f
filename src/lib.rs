//! kubectl-egress
