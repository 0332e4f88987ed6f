//! Makes the real cluster.
