//! 130 to 142: where TLS begins and ends, and what the other side learns.

use super::catalogue;

catalogue! {
    /// A host left at the sidecar, as the plan says.
    LEFT_AT_SIDECAR = "EGR-130", Warning, "a host leaves at the sidecar, as planned",
        "The plan leads this host past the gateway (mode direct, or origination at the sidecar). Its requests come from the pods' own addresses, nothing at the gateway sees them, and NetworkPolicies that let out only the gateway cut them off.",
        "where the gateway is to carry it: `kubectl egress route HOST --mode passthrough` (or http, tls-origination)";
    /// The originating proxy has no certificate to use.
    SECRET_NOT_SUPPLIED = "EGR-131", Error, "the gateway does not get the Secret for its TLS",
        "The Secret is not there, is in another namespace than the gateway's pods, lacks keys (tls.crt and tls.key, and ca.crt; or ca.crt alone where no client certificate is shown), or the gateway's service account may not read it. For the first 15 s its cluster is missing (NC), then each request fails.",
        "`kubectl get secret NAME -n GATEWAY-NAMESPACE` shows whether it is there; istiod's log names it: `kubectl logs -n istio-system deploy/istiod | grep certificate`";
    /// The proxy does not know who signed the server's certificate.
    SERVER_CERTIFICATE_UNTRUSTED = "EGR-132", Error, "the proxy does not trust the server's certificate",
        "The proxy that makes TLS does not know the authority that signed the server's certificate: ca.crt of the Secret is another authority's, or none is given and the system's authorities do not include it.",
        "give the right authority: `--ca-secret NAME` (key ca.crt, in the gateway's namespace); at the sidecar `--ca-file PATH`";
    /// The server's certificate is for other names.
    SERVER_CERTIFICATE_NAME = "EGR-133", Error, "the server's certificate is for another name",
        "The proxy that makes TLS asks for the host's name, and the certificate does not have it among its subject alternative names.",
        "name the host as its certificate does, or have the server's certificate made for this name; checking the name cannot be switched off here";
    /// The server's certificate ran out.
    SERVER_CERTIFICATE_EXPIRED = "EGR-134", Error, "the server's certificate has expired",
        "The proxy that makes TLS refuses a certificate that is not valid at this time.",
        "have it renewed at the server; if it is valid, compare the clock of the gateway's node";
    /// The server ended it, and only the server knows why.
    ORIGINATION_REFUSED = "EGR-135", Error, "the server ended the TLS connection without a reason",
        "One of four causes that only the server's log tells apart: the client certificate has expired, another authority signed it than the server asks for, none was shown though the server wants one, or what reached the server was not TLS. With TLS 1.3 its refusal comes after the handshake, so all four look alike here.",
        "read the server's log; check the certificate of the Secret: `kubectl get secret NAME -n GATEWAY-NAMESPACE -o jsonpath='{.data.tls\\.crt}' | base64 -d | openssl x509 -noout -dates -issuer`";
    /// TLS to a port that speaks plaintext.
    HOST_SPEAKS_NO_TLS = "EGR-136", Error, "the host does not speak TLS on this port",
        "The proxy makes TLS, and the answer was no TLS (WRONG_VERSION_NUMBER): the target port is one for plain HTTP.",
        "name the port that speaks TLS: `--target-port PORT` (443 unless said otherwise), or use `--mode http`";
    /// Plain HTTP to a port that speaks TLS.
    PLAINTEXT_TO_TLS = "EGR-137", Error, "plain HTTP was sent to a port that expects TLS",
        "The proxy sends without TLS: mode http with a target port for TLS, or the DestinationRule that makes TLS is missing or not seen by this proxy.",
        "use `--mode tls-origination`, or run `kubectl egress setup HOST` again: it applies the DestinationRule";
    /// A leg is less protected than planned.
    LEG_NOT_PROTECTED = "EGR-138", Error, "a leg is less protected than planned",
        "The proxy's live configuration has no TLS, or no mutual TLS, for it: the DestinationRule is missing, changed, shadowed by another one, or not seen by this proxy.",
        "`kubectl egress status` shows whether the DestinationRule is as planned; `kubectl get destinationrule -A` shows others for the same host";
    /// Sidecar and gateway do not speak the same.
    MESH_LEG_MISMATCH = "EGR-139", Error, "sidecar and gateway do not agree on TLS",
        "One side of the leg to the gateway expects mutual TLS and the other does not offer it: the Gateway's server and the DestinationRule's subset do not fit, or another plan's Gateway has taken the port with another protocol.",
        "run `kubectl egress setup HOST` again; `kubectl get gateway -A -o yaml` shows every server of the port";
    /// The server saw who called.
    CALLER_TOLD = "EGR-140", Warning, "the host is told who called",
        "Istio adds headers that name the workload, its certificate or its address. Unless they are to be kept, the plan takes them off at the gateway; at a sidecar nothing does.",
        "leave them out: run `kubectl egress route HOST` without `--keep-headers`; at the sidecar use `--at gateway`";
    /// The server asks the application for a certificate.
    CLIENT_CERTIFICATE_WANTED = "EGR-141", Warning, "the host wants a client certificate of the application",
        "TLS is the application's own here, and the host ended it because no client certificate was shown. The way is proven: the host's own certificate was verified before that.",
        "let the application show its certificate, or let the gateway do it: plain HTTP and `--mode mtls-origination --client-secret NAME`";
    /// A request was never redirected to the sidecar.
    SIDECAR_PASSED = "EGR-142", Error, "addresses are reached past the sidecar",
        "The annotation excludeOutboundIPRanges of the pods, or the mesh's own includeIPRanges, leaves these addresses out of what is redirected to the sidecar; then nothing of the mesh sees the traffic.",
        "what `kubectl egress setup --exclude-ranges` set is taken back by `kubectl egress cleanup`; else take the annotation off the workload, and look at global.proxy.includeIPRanges of the mesh; `kubectl egress lockdown` stops what passes the sidecar";
    /// What arrives at the host is not what its port is for.
    PORT_OF_ANOTHER_PROTOCOL = "EGR-145", Error, "the port is for another protocol",
        "The application makes TLS already, and a DestinationRule lets the proxy make it once more: TLS inside TLS is understood by no host.",
        "let the application speak plain HTTP where a proxy originates TLS, or take `tls` out of the DestinationRule";
}
