//! What curl's exit code can and cannot prove about egress, by the kind of source (truth.md 2: "what each outcome
//! proves").

use super::curl_codes::{CurlCode, curl_code};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// What curl ran in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// A pod with a sidecar.
    Meshed,
    /// A pod without one.
    Bare,
}

impl SourceKind {
    /// Every value.
    pub const ALL: &'static [Self] = &[Self::Meshed, Self::Bare];
}

impl fmt::Display for SourceKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Meshed => "meshed",
            Self::Bare => "bare",
        })
    }
}

/// What a code means here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExitCodeMeaning {
    /// The number.
    pub code: u8,
    /// libcurl's name.
    pub name: &'static str,
    /// What it means to curl.
    pub meaning: &'static str,
    /// Whether it can prove that something stops traffic, in one sentence.
    pub proves: &'static str,
    /// By source and situation.
    pub situations: Vec<SituationMeaning>,
    /// What to type next.
    pub next: &'static str,
}

/// What a code means in one situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SituationMeaning {
    /// What curl ran in.
    pub from: SourceKind,
    /// Under which policies.
    pub situation: &'static str,
    /// What it says then.
    pub says: &'static str,
}

/// What a code of 0 to 101 means, for one kind of source or for all.
pub fn exit_code_meaning(code: u8, from: Option<SourceKind>) -> Option<ExitCodeMeaning> {
    let CurlCode { code, name, meaning } = *curl_code(code)?;
    let (proves, situations, next) = here(code);
    let situations = situations
        .iter()
        .map(|(from, situation, says)| SituationMeaning {
            from: *from,
            situation,
            says,
        })
        .filter(|situation| from.is_none_or(|from| situation.from == from))
        .collect();
    Some(ExitCodeMeaning {
        code,
        name,
        meaning,
        proves,
        situations,
        next,
    })
}

type Here = (
    &'static str,
    &'static [(SourceKind, &'static str, &'static str)],
    &'static str,
);

use SourceKind::{Bare, Meshed};

const ALLOW_ANY: &str = "outboundTrafficPolicy ALLOW_ANY";
const REGISTRY_ONLY: &str = "outboundTrafficPolicy REGISTRY_ONLY";
const NETWORK_POLICY: &str = "under a NetworkPolicy that blocks";
const NO_POLICY: &str = "without a NetworkPolicy";

const PROBE: &str = "kubectl egress probe HOST";
const UNMESHED: &str = "kubectl egress probe HOST --unmeshed";

fn here(code: u8) -> Here {
    match code {
        0 => SUCCESS,
        6 => NAME,
        7 => REFUSED,
        22 => HTTP_ERROR,
        28 => TIMED_OUT,
        35 => TLS,
        18 | 52 | 55 | 56 | 16 | 92 => BROKEN_OFF,
        51 | 60 | 83 | 90 | 91 => CERTIFICATE,
        58 | 98 => CLIENT_CERTIFICATE,
        77 | 82 => AUTHORITY_FILE,
        5 | 97 => PROXY,
        _ => (
            "It proves nothing about egress: curl failed for a reason of its own, or of the protocol.",
            &[],
            PROBE,
        ),
    }
}

const SUCCESS: Here = (
    "It proves that something answered, not which way the request went: a request that bypasses the gateway is a clean 0 with 200 too.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "the request may have left directly; only the lines of sidecar and gateway show the way. Over plain HTTP the answer may be a proxy's: look at the status",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "with status 502 and an empty body it is the sidecar's refusal, not the host's answer",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "over plain HTTP, 503 after 10 s is a block that drops and 503 at once one that rejects, if the sidecar's line shows UF; 200 may come over a connection that was open before",
        ),
        (Bare, NO_POLICY, "the host is reached without the gateway"),
        (Bare, NETWORK_POLICY, "the policy does not stop this pod"),
    ],
    PROBE,
);

const NAME: Here = (
    "It proves no block of the host: curl never had an address.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "the name does not exist, or DNS is not reached",
        ),
        (Meshed, REGISTRY_ONLY, "the same: DNS is asked before the sidecar"),
        (
            Meshed,
            NETWORK_POLICY,
            "a policy without a rule for DNS: after about 20 s where packets are dropped, at once where they are rejected",
        ),
        (Bare, NO_POLICY, "the name does not exist, or DNS is not reached"),
        (Bare, NETWORK_POLICY, "a policy without a rule for DNS, as above"),
    ],
    "kubectl egress explain EGR-111",
);

const REFUSED: Here = (
    "From a pod without sidecar it proves a block, if a control shows that the host is up; a pod with a sidecar never has it for a host that is blocked.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "not seen: the sidecar accepts the connection itself, so a refused host ends in 35 or 503. If it comes, the traffic is not redirected to the sidecar",
        ),
        (Meshed, REGISTRY_ONLY, "not seen, as above"),
        (Meshed, NETWORK_POLICY, "not seen, as above"),
        (Bare, NO_POLICY, "nothing listens at that address and port"),
        (
            Bare,
            NETWORK_POLICY,
            "the policy rejects the packets; it takes a control from a pod that may, because a closed port looks the same",
        ),
    ],
    UNMESHED,
);

const TIMED_OUT: Here = (
    "From a pod without sidecar it proves a block, if a control shows that the host is up; from a pod with a sidecar it only says that curl gave up.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "curl's time limit is below the proxy's 10 s, or the host is slow; ask with -m 12 or more and read the sidecar's line",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "not a refusal of REGISTRY_ONLY, which comes at once (35, or status 502)",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "dropped packets are likely; the sidecar's line then has DC, and UF from 10 s on",
        ),
        (
            Bare,
            NO_POLICY,
            "the host is dead, or something on the way drops packets",
        ),
        (
            Bare,
            NETWORK_POLICY,
            "the policy drops the packets; it takes a control. `Resolving timed out` in its text means DNS, not the host",
        ),
    ],
    UNMESHED,
);

const TLS: Here = (
    "It proves no block: at least four causes give the same 35 from a pod with a sidecar, with and without any NetworkPolicy.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "the host refused behind the sidecar (UF), or the gateway has no route for the host (UR at the sidecar, NR at the gateway), or a route names a cluster that is missing (NC)",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "the sidecar refused within milliseconds (UH, BlackHoleCluster): no ServiceEntry declares the host. It says nothing about a NetworkPolicy",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "after 10 s packets are dropped, at once they are rejected, in both cases behind the sidecar: only its line (UF, PassthroughCluster) tells that from the others",
        ),
        (
            Bare,
            NO_POLICY,
            "the server ended the handshake: no TLS on this port, no common version, or a client certificate is wanted",
        ),
        (
            Bare,
            NETWORK_POLICY,
            "not seen for a block: a policy gives 28 or 7, so the host was reached",
        ),
    ],
    PROBE,
);

const BROKEN_OFF: Here = (
    "It proves no block: there was a connection. The lab never had it for one.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "something behind the sidecar broke off: the host, or the gateway while its configuration changed. With 56 and `alert certificate required` the host wants a client certificate of the application",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "not a refusal of REGISTRY_ONLY, which is 35 or status 502",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "not seen for a block; a connection from before the policy may have been cut",
        ),
        (Bare, NO_POLICY, "the host broke off"),
        (
            Bare,
            NETWORK_POLICY,
            "the host was reached; some policy engines cut connections from before",
        ),
    ],
    PROBE,
);

const CERTIFICATE: Here = (
    "It proves no block, and shows that some server was reached: its certificate is not trusted for this name.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "the host's own certificate is wrong for the name; or the gateway ends TLS itself where the sidecar should have wrapped it (DestinationRule without `tls` in front of a server ISTIO_MUTUAL)",
        ),
        (Meshed, REGISTRY_ONLY, "the host is declared, for it was reached"),
        (Meshed, NETWORK_POLICY, "the policy does not stop this way"),
        (
            Bare,
            NO_POLICY,
            "the host, or something on the way that shows a certificate of its own, was reached",
        ),
        (Bare, NETWORK_POLICY, "the policy does not stop this pod"),
    ],
    "kubectl egress explain EGR-112",
);

const CLIENT_CERTIFICATE: Here = (
    "It proves no block: it is about a client certificate.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "58: curl cannot use its own; 98: the host wants one and was reached. The gateway can show one instead: mode mtls-origination",
        ),
        (
            Bare,
            NO_POLICY,
            "58: curl cannot use its own; 98: the host wants one and was reached",
        ),
    ],
    "kubectl egress explain EGR-141",
);

const AUTHORITY_FILE: Here = (
    "It proves nothing: curl could not read a file of its own, and the server's certificate was never checked.",
    &[
        (Meshed, ALLOW_ANY, "--cacert is a path in the source's container"),
        (Bare, NO_POLICY, "--cacert is a path in the source's container"),
    ],
    PROBE,
);

const PROXY: Here = (
    "It proves nothing about the host: an HTTP or SOCKS proxy of curl's own (https_proxy, --proxy) failed.",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "the proxy itself is egress: it needs a ServiceEntry and a route, or it bypasses the gateway",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "the proxy's address is not declared, or it refused",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "the policy may stop the proxy; the host behind it was not asked",
        ),
        (Bare, NO_POLICY, "the proxy refused, or is not reached"),
        (Bare, NETWORK_POLICY, "the policy may stop the proxy"),
    ],
    PROBE,
);

const HTTP_ERROR: Here = (
    "It proves no block by itself: the status of the answer and whose answer it is decide (plain HTTP may be answered by a proxy).",
    &[
        (
            Meshed,
            ALLOW_ANY,
            "503 may be the sidecar's, the gateway's or the host's: their lines tell by their flags. 404 with NR is a gateway without a route",
        ),
        (
            Meshed,
            REGISTRY_ONLY,
            "502 with an empty body is the sidecar's refusal of a host that no ServiceEntry declares",
        ),
        (
            Meshed,
            NETWORK_POLICY,
            "503 after 10 s (dropped) or at once (rejected) with UF in the sidecar's line, over plain HTTP",
        ),
        (
            Bare,
            NO_POLICY,
            "the host answered with an error: it is reached without the gateway",
        ),
        (
            Bare,
            NETWORK_POLICY,
            "the host answered: the policy does not stop this pod",
        ),
    ],
    PROBE,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_five_proves_no_block_and_seven_only_without_a_sidecar() {
        let tls = exit_code_meaning(35, None).unwrap();
        assert!(tls.proves.starts_with("It proves no block"), "{tls:?}");
        assert!(
            tls.situations
                .iter()
                .any(|said| said.situation == REGISTRY_ONLY && said.says.contains("BlackHoleCluster"))
        );
        let refused = exit_code_meaning(7, Some(Meshed)).unwrap();
        assert!(
            refused
                .situations
                .iter()
                .all(|said| said.from == Meshed && said.says.contains("not seen"))
        );
        assert_eq!(refused.situations.len(), 3);
        let bare = exit_code_meaning(28, Some(Bare)).unwrap();
        assert!(bare.situations.iter().any(|said| said.says.contains("control")));
    }

    #[test]
    fn every_code_says_something_and_no_other_does() {
        for code in 0..=101 {
            let meaning = exit_code_meaning(code, None).unwrap();
            assert!(
                meaning.proves.ends_with('.') && !meaning.next.is_empty(),
                "{code}"
            );
        }
        assert_eq!(exit_code_meaning(102, None), None);
    }
}
