//! Envoy's response flags in plain words (Envoy documentation, "Access logging", `%RESPONSE_FLAGS%`), and what the
//! lab measured that they mean for egress (truth.md).

/// One flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlagMeaning {
    /// As it stands in the line: `UF`.
    pub flag: &'static str,
    /// Envoy's own name: `UpstreamConnectionFailure`.
    pub name: &'static str,
    /// A sentence without its full stop.
    pub meaning: &'static str,
    /// What it means for egress where a real mesh showed it; else empty.
    pub here: &'static str,
}

/// The meaning of a flag, if Envoy has such a flag.
pub fn flag_meaning(flag: &str) -> Option<&'static FlagMeaning> {
    FLAGS.iter().find(|known| known.flag == flag)
}

macro_rules! flags {
    ($($flag:literal $name:literal $meaning:literal $here:literal;)+) => {
        /// Every flag of Envoy.
        pub static FLAGS: &[FlagMeaning] = &[$(FlagMeaning { flag: $flag, name: $name, meaning: $meaning, here: $here }),+];
    };
}

flags! {
    "UH" "NoHealthyUpstream"
        "the cluster has no endpoint that could be connected to"
        "with BlackHoleCluster it is REGISTRY_ONLY; towards the gateway none of its pods is ready; at the gateway the host's name did not resolve there, or its ServiceEntry has resolution NONE or DYNAMIC_DNS, which work at a sidecar only";
    "UF" "UpstreamConnectionFailure"
        "no connection to the upstream could be made: refused, timed out (10 s), or its TLS failed"
        "a NetworkPolicy that drops shows as UF after 10 s, one that rejects as UF at once; a dead host looks the same";
    "UC" "UpstreamConnectionTermination"
        "the upstream closed the connection before it had answered"
        "behind TLS that the proxy makes, the server refused the client certificate, or wants one; without it, plain HTTP was sent to a port for TLS";
    "UR" "UpstreamRemoteReset"
        "the upstream reset the connection or stream"
        "in a sidecar's line with the gateway as its upstream: the gateway ended it, and its own line says why";
    "URX" "UpstreamRetryLimitExceeded"
        "every attempt failed, and no more are made"
        "the line stands for several attempts; the other flag beside it says how they failed";
    "UT" "UpstreamRequestTimeout"
        "the upstream did not answer in the time that the route allows"
        "";
    "UO" "UpstreamOverflow"
        "the circuit breaker of the cluster is open: too many connections or requests are under way"
        "raise connectionPool of the DestinationRule of the gateway or of the host";
    "UPE" "UpstreamProtocolError"
        "the upstream's answer was not the HTTP that was expected"
        "the port speaks another protocol than its name in the ServiceEntry says";
    "UMSDR" "UpstreamMaxStreamDurationReached"
        "the request went on for longer than the route's longest duration"
        "";
    "UAEX" "UnauthorizedExternalService"
        "an external authorization service refused the request"
        "an AuthorizationPolicy with action CUSTOM asks it";
    "NR" "NoRouteFound"
        "no route, or no filter chain of the listener, fits the request"
        "at the gateway: no Gateway object offers this SNI or Host to this pod, or mutual TLS of the mesh was expected and did not come";
    "NC" "NoClusterFound"
        "the route names a cluster that the proxy does not have"
        "the DestinationRule with the subset is missing or not seen by this proxy; at the gateway, for the first 15 s, also a Secret that is missing";
    "NFCF" "NoFilterConfigFound"
        "a filter's configuration did not come from the control plane in time"
        "";
    "LR" "LocalReset"
        "the proxy itself reset the stream"
        "";
    "LH" "FailedLocalHealthCheck"
        "the proxy's own health check failed"
        "";
    "DC" "DownstreamConnectionTermination"
        "the client closed the connection before it had the whole answer"
        "with no upstream connection yet, packets to the host are probably dropped, and the client's time limit is below the proxy's 10 s";
    "DR" "DownstreamRemoteReset"
        "the client reset the stream"
        "";
    "DPE" "DownstreamProtocolError"
        "what the client sent is not the HTTP that the listener expects"
        "at the gateway: the sidecar made TLS towards a server of the Gateway that speaks plain HTTP";
    "DT" "DurationTimeout"
        "the connection or request was open for longer than allowed"
        "";
    "SI" "StreamIdleTimeout"
        "nothing was sent for longer than the idle time limit"
        "";
    "DF" "DnsResolutionFailed"
        "the proxy itself could not resolve the host's name"
        "only where the proxy resolves by the name in the request (DYNAMIC_DNS)";
    "DI" "DelayInjected"
        "a VirtualService with `fault` delayed it on purpose"
        "";
    "FI" "FaultInjected"
        "a VirtualService with `fault` aborted it on purpose"
        "";
    "RL" "RateLimited"
        "a rate limit refused it"
        "";
    "RLSE" "RateLimitServiceError"
        "the rate limit service did not answer, and the filter is set to refuse then"
        "";
    "IH" "InvalidEnvoyRequestHeaders"
        "a header that Envoy reads for itself (x-envoy-…) has a value that it refuses"
        "";
    "RFCF" "ResponseFromCacheFilter"
        "the answer came from a cache in the proxy, not from the host"
        "";
    "OM" "OverloadManagerTerminated"
        "the proxy is short of memory or connections and refuses work"
        "give the gateway's pods more memory, or more replicas";
    "DO" "DropOverload"
        "the control plane told the proxy to drop a share of the requests"
        "";
    "UDO" "UnconditionalDropOverload"
        "the control plane told the proxy to drop every request of the cluster"
        "";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_flag_has_one_meaning_in_plain_words() {
        let unique: HashSet<_> = FLAGS.iter().map(|flag| flag.flag).collect();
        assert_eq!(unique.len(), FLAGS.len());
        // data.accesslog.v3.ResponseFlags has 28 of them; the two about dropped load are in the text format only.
        assert_eq!(FLAGS.len(), 30);
        for flag in FLAGS {
            assert!(
                !flag.meaning.is_empty() && !flag.meaning.ends_with('.'),
                "{}",
                flag.flag
            );
        }
        assert_eq!(flag_meaning("NC").unwrap().name, "NoClusterFound");
        assert_eq!(flag_meaning("XX"), None);
    }
}
