//! Every code with its article. Codes are stable: a code is never given another meaning.
//!
//! 1nn: evidence of probes. 2nn: the gateway. 3nn: routing objects. 4nn: certificates and Secrets. 5nn: the lock.
//! 60n: attempts to get out without the gateway.

use super::Severity;

/// What is known of one kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Article {
    /// `EGR-nnn`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Its name in a few words.
    pub title: &'static str,
    /// Why it happens.
    pub cause: &'static str,
    /// What to do in general.
    pub fix: &'static str,
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $severity:ident, $title:literal, $cause:literal, $fix:literal;)+) => {
        $($(#[$doc])* pub static $name: Article = Article {
            code: $code, severity: Severity::$severity, title: $title, cause: $cause, fix: $fix,
        };)+
        /// All articles, by code.
        pub static CATALOGUE: &[&Article] = &[$(&$name),+];
    };
}

/// The article of a code such as `EGR-101`.
pub fn article(code: &str) -> Option<&'static Article> {
    CATALOGUE
        .iter()
        .copied()
        .find(|article| article.code.eq_ignore_ascii_case(code))
}

catalogue! {
    /// The request went out through the sidecar but not through the gateway.
    BYPASSED_AT_SIDECAR = "EGR-101", Error, "request left directly from the sidecar",
        "The sidecar had no route to the gateway for this host and port, so outboundTrafficPolicy ALLOW_ANY, or the ServiceEntry alone, let it out directly.",
        "run `kubectl egress setup HOST`, or `kubectl egress status` to see which routing object is missing; `kubectl egress lockdown` stops whatever does not go through the gateway";
    /// A pod without sidecar reached the host.
    BYPASSED_WITHOUT_SIDECAR = "EGR-102", Warning, "a pod without sidecar reaches the host directly",
        "Istio routes only what passes a sidecar; nothing below the mesh stops other pods.",
        "`kubectl egress lockdown` lets out only DNS, istiod and the gateway's pods, and proves it";
    /// The gateway's line for a probe did not arrive.
    NO_GATEWAY_LINE = "EGR-103", Warning, "no line of the gateway's access log for this probe",
        "The follower did not deliver, the access log is off, or the request did not reach this gateway.",
        "switch the gateway's access log on: `kubectl egress enable-gateway`";
    /// The sidecar's line for a probe did not arrive.
    NO_SIDECAR_LINE = "EGR-104", Warning, "no line of the sidecar's access log for this probe",
        "The access log of the source's sidecar is off, or its line did not come in time.",
        "our source's is switched on by `kubectl egress deploy-curl`, that of a workload of your own by `kubectl egress setup --from deploy/NAME`";
    /// A follower could not be shown to deliver.
    FOLLOWER_SILENT = "EGR-105", Warning, "the gateway's access log does not arrive",
        "A sentinel connection to the gateway pod left no line in its log, so a missing line proves nothing.",
        "switch the gateway's access log on: `kubectl egress enable-gateway`";
    /// No permission to read logs.
    LOGS_FORBIDDEN = "EGR-106", Warning, "no permission to read a proxy's log",
        "The user may not `get pods/log` there, so nothing can be proven about what passed the proxy.",
        "ask for `get` on `pods/log` in that namespace";
    /// The probe's exec ended without a status.
    EXEC_LOST = "EGR-107", Warning, "the connection to the probing container was lost",
        "The exec ended without an exit status, so the probe may or may not have run.",
        "run the command again";
    /// The host did not answer.
    HOST_UNREACHABLE = "EGR-108", Error, "the host did not answer",
        "The gateway, or the sidecar, let the request out and the connection failed behind it.",
        "check from outside the cluster that the host answers on this port, and that the network lets the gateway's node out";
    /// The sidecar refused because of REGISTRY_ONLY.
    REGISTRY_ONLY = "EGR-109", Info, "stopped by REGISTRY_ONLY",
        "outboundTrafficPolicy REGISTRY_ONLY lets the sidecar refuse hosts that no ServiceEntry declares. It proves nothing about pods without sidecar.",
        "to allow the host: `kubectl egress setup HOST`";
    /// The gateway refused.
    GATEWAY_REFUSED = "EGR-110", Error, "the gateway has no route for the host",
        "The sidecar sent the request to the gateway, whose listener has no filter chain or route for this SNI or Host.",
        "run `kubectl egress setup HOST` again; `kubectl egress status` shows which object is missing or selects another gateway";
    /// curl failed before anything was sent.
    NAME_NOT_RESOLVED = "EGR-111", Error, "the host name does not resolve in the pod",
        "DNS in the pod answered that the name does not exist, or did not answer.",
        "check the spelling, and that the cluster's DNS forwards outside names";
    /// curl does not trust the server's certificate.
    CERTIFICATE_REFUSED = "EGR-112", Error, "the source does not accept the host's certificate",
        "The request reached a server whose certificate the source does not trust for this name.",
        "give the CA with `--cacert`, or correct the server's certificate";
    /// The sidecar has a route but the gateway cannot be connected to.
    GATEWAY_UNREACHABLE = "EGR-113", Error, "the sidecar could not connect to the gateway",
        "The route names the gateway, but no gateway pod accepts connections on its target port.",
        "`kubectl egress status` shows the gateway's pods; `kubectl egress enable-gateway` starts them";
    /// The proxy has the route, but its cluster is missing.
    CLUSTER_MISSING = "EGR-114", Error, "the route names a cluster that the proxy does not have",
        "A VirtualService names a subset, and no DestinationRule that this proxy sees defines it.",
        "run `kubectl egress setup HOST` again: it applies the DestinationRule";
    /// Evidence contradicts itself.
    CONTRADICTION = "EGR-115", Warning, "the witnesses contradict each other",
        "For example curl succeeded while the proxy's line shows a failure.",
        "run the command again; if it persists, `kubectl egress logs` shows the raw lines";
    /// The probing tool is too old or missing.
    NO_CURL = "EGR-116", Warning, "the source has no usable curl",
        "curl 7.75 or newer is needed for its per-transfer report.",
        "use our source (`kubectl egress deploy-curl`), or `--from deploy/NAME` with `--yes` for an ephemeral container";
    /// The workload has no sidecar.
    SOURCE_NOT_MESHED = "EGR-117", Warning, "the source has no sidecar",
        "Nothing routes its traffic to the gateway.",
        "label the namespace `istio-injection=enabled` (or the pod `sidecar.istio.io/inject=true`) and restart the workload";
    /// A host that must not be reachable is reachable, by the planned way.
    FORBIDDEN_HOST_REACHABLE = "EGR-118", Warning, "a host that must not be reachable is reachable through the gateway",
        "The gateway has a route for the host: another plan, or somebody by hand, declared it.",
        "`kubectl egress status` names the routing objects of the host; take them away, or allow the host in the plan";
    /// A proxy ended the request in a way that decides nothing.
    NOT_EXPLAINED = "EGR-119", Warning, "the evidence does not explain what happened",
        "The lines that were found show neither a complete way nor a refusal that is known.",
        "`kubectl egress logs --raw` shows the lines word for word";
    /// A policy stops a declared host.
    STOPPED_BY_POLICY = "EGR-120", Error, "a policy stops a declared host",
        "A NetworkPolicy or an AuthorizationPolicy selects the source or the gateway and does not allow the host.",
        "allow the way to the gateway and to the host in that policy: `kubectl get networkpolicy,authorizationpolicy -A`";
    /// Packets do not pass a NetworkPolicy.
    STOPPED_BY_NETWORK_POLICY = "EGR-121", Info, "stopped by a NetworkPolicy",
        "NetworkPolicies select the pod, and none of them allows this destination and port; its packets are dropped.",
        "to allow the host: `kubectl egress setup HOST`, which routes it through the gateway; `kubectl get networkpolicy -A` lists the policies";
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
    /// The gateway has no ready pod.
    GATEWAY_NOT_READY = "EGR-201", Error, "the egress gateway has no ready pod",
        "Its Deployment is scaled to zero, or its pods do not start.",
        "`kubectl egress enable-gateway`, or scale the Deployment up";
    /// Access log off.
    ACCESS_LOG_OFF = "EGR-202", Warning, "the access log is off",
        "Neither meshConfig.accessLogFile nor a Telemetry resource switches it on for this proxy.",
        "`kubectl egress setup` switches it on for the gateway and the source only, with `--from deploy/NAME` for a workload of your own";
    /// The proxy's configuration could not be read.
    PROXY_UNREADABLE = "EGR-203", Info, "the proxy's configuration could not be read",
        "A port-forward to the proxy's admin port was refused, so the encryption of its hops stays unknown.",
        "ask for `create` on `pods/portforward` in that namespace";
    /// An Istio custom resource of Kyma that does not count.
    ISTIO_CR_IGNORED = "EGR-204", Info, "an Istio custom resource is ignored",
        "The Kyma module follows the oldest Istio custom resource in kyma-system; newer ones, and those in other namespaces, change nothing.",
        "move its settings to the one that counts, and delete it: `kubectl get istios -A` lists all";
    /// The Kyma module is in state Warning or Error.
    MODULE_TROUBLED = "EGR-205", Warning, "the Istio module reports trouble",
        "The state of the Istio custom resource is Warning or Error, for the reason that it names. A Warning rarely concerns the egress gateway.",
        "`kubectl describe istios -n kyma-system` shows its conditions; the set-up goes on as long as the egress gateway gets ready";
    /// A pod lacks the label that the gateway's network policy asks for.
    GATEWAY_LABEL_MISSING = "EGR-206", Warning, "a pod may not reach the egress gateway",
        "The network policies of Kyma's Istio module let only pods with the label networking.kyma-project.io/to-egressgateway=allowed reach the egress gateway.",
        "add the label networking.kyma-project.io/to-egressgateway=allowed to the pod template of its workload";
    /// The access log's format tells too little.
    LOG_FORMAT_LACKS = "EGR-207", Warning, "the access log's format lacks what a proof rests on",
        "The log is on, but the format of this mesh (meshConfig.accessLogFormat, or the provider's logFormat) leaves out a field, or has it between two headers, where a client could forge it. The proxies' counters say that something was carried, not whose it was.",
        "add the operators that are named to the format, as %NAME%, before or behind all headers; or let a Telemetry use a provider with Istio's own format for this proxy";
    /// A routing object of the plan is missing.
    OBJECT_MISSING = "EGR-301", Error, "an object of the plan is missing",
        "Somebody deleted it after the set-up.",
        "`kubectl egress setup` applies it again";
    /// A rule of ours hides one of somebody else's.
    DESTINATION_RULE_SHADOWED = "EGR-303", Warning, "a DestinationRule of the gateway is shadowed",
        "Istio takes the DestinationRule of the client's namespace first; the plan's own, which only names a subset, hides another one for the gateway there.",
        "routes of your own to the gateway from this namespace lose that rule's settings; copy what they need into a rule of this namespace";
    /// A routing object differs from the plan.
    OBJECT_DRIFTED = "EGR-302", Warning, "an object of the plan was changed",
        "Its fields differ from what the plan renders.",
        "`kubectl egress diff` shows the difference; `kubectl egress setup` puts it back";
    /// No certificate can be read.
    CERTIFICATE_UNREADABLE = "EGR-401", Error, "there is no certificate to read",
        "The text is not PEM (RFC 7468), is damaged, or holds something else, for example a key in place of a certificate.",
        "give the certificate as PEM, beginning with -----BEGIN CERTIFICATE-----; from DER: openssl x509 -inform der -in FILE -out FILE.pem";
    /// The host is not among the names.
    HOST_NOT_NAMED = "EGR-402", Error, "the certificate does not name the host",
        "Clients compare the host with the subject alternative names only; the common name counts for nothing (RFC 9525).",
        "issue it with the host as subject alternative name: `kubectl egress certs HOST --out DIR`";
    /// The key is another certificate's.
    KEY_MISMATCH = "EGR-403", Error, "the key does not fit the certificate",
        "The public key in the certificate is not the counterpart of the private key. A proxy refuses the pair.",
        "give the key that the certificate was issued for, or issue both anew: `kubectl egress certs HOST --out DIR`";
    /// Leaf not first, or issuers out of order.
    BUNDLE_ORDER = "EGR-404", Error, "the PEM bundle is in the wrong order",
        "The certificate itself comes first, each one is followed by the one that issued it (RFC 8446, section 4.4.2). Proxies send the bundle as it is, and take the key for that of the first.",
        "put the certificate first, then the intermediate ones, in one file";
    /// A passphrase.
    KEY_ENCRYPTED = "EGR-405", Error, "the private key is encrypted",
        "The key is protected by a passphrase, which a gateway cannot type.",
        "take the passphrase off into a file that only you can read: openssl pkey -in KEY -out KEY.plain";
    /// Past its end.
    CERTIFICATE_EXPIRED = "EGR-406", Error, "the certificate has expired",
        "Its validity has ended; istiod delivers it all the same, and the other side ends the connection.",
        "renew it: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`, then `kubectl egress secrets`";
    /// Before its begin.
    CERTIFICATE_NOT_YET_VALID = "EGR-407", Error, "the certificate is not valid yet",
        "Its validity begins later, or a clock is wrong.",
        "wait until then, issue it anew, or correct the clock";
    /// Near its end.
    CERTIFICATE_EXPIRES_SOON = "EGR-408", Warning, "the certificate expires soon",
        "Fewer than 30 days are left.",
        "renew it: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`, then `kubectl egress secrets`";
    /// Another authority.
    FOREIGN_AUTHORITY = "EGR-409", Error, "another CA issued the certificate",
        "None of the given authorities signed the certificate or one of its issuers; whoever trusts only them refuses it.",
        "give the CA that issued it, or issue it with this CA: `kubectl egress certs HOST --ca-cert CA --ca-key KEY --out DIR`";
    /// Extended key usage.
    USAGE_MISSING = "EGR-410", Error, "the certificate is not for this use",
        "Its extended key usage names other uses (RFC 5280, section 4.2.1.12): a server's needs serverAuth, a client's clientAuth.",
        "issue it for this use: `kubectl egress certs HOST --out DIR` makes one for each";
    /// A leaf given as CA.
    AUTHORITY_IS_NONE = "EGR-411", Error, "what is given as a CA is none",
        "Its basicConstraints do not say CA:TRUE, so nothing that it signed is trusted.",
        "give the certificate of the CA that issued the other side's certificate";
    /// A key that cannot be used.
    KEY_UNREADABLE = "EGR-412", Error, "there is no private key to read",
        "The text holds no private key in PEM, or one of an algorithm that proxies do not take.",
        "give the key as PEM: ECDSA P-256 or P-384, or RSA of 2048 bits or more";
    /// No such Secret.
    SECRET_MISSING = "EGR-420", Error, "the Secret does not exist",
        "credentialName is looked up in the namespace of the gateway's pods. Without it the gateway answers 503 after 15 seconds, and no log but istiod's names it.",
        "make it: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name NAME`";
    /// It is somewhere else.
    SECRET_ELSEWHERE = "EGR-421", Error, "the Secret is in another namespace",
        "A gateway reads Secrets of its own pods' namespace only; one in the application's namespace changes nothing.",
        "make it in the gateway's namespace: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name NAME`";
    /// Its type.
    SECRET_WRONG_TYPE = "EGR-422", Error, "the Secret is of the wrong type",
        "Certificates are in Secrets of type Opaque or kubernetes.io/tls. The type of a Secret cannot be changed.",
        "make another one: `kubectl egress secrets --cert FILE --key FILE --ca FILE --name OTHER`";
    /// Its keys.
    SECRET_LACKS_KEYS = "EGR-423", Error, "keys are missing in the Secret",
        "A client's Secret has tls.crt, tls.key and ca.crt (or cert, key and cacert); the CA may be in a Secret NAME-cacert instead. Without the CA the gateway answers 503.",
        "`kubectl egress secrets --cert FILE --key FILE --ca FILE` makes it with all three";
    /// We may not look.
    SECRET_UNREAD = "EGR-424", Warning, "the Secret could not be checked",
        "You may not read Secrets in the gateway's namespace, so that its content stays unknown.",
        "ask for `get` on `secrets` in that namespace, or check the files: `kubectl egress certs inspect FILE`";
    /// A Secret of the gateway was changed under connections that are open.
    SECRET_CHANGED = "EGR-425", Warning, "open connections keep the certificate of before",
        "A proxy takes a changed Secret for new connections only. Those that it keeps open to the host were checked with the former CA and shown the former certificate, and carry requests until they have been idle for an hour.",
        "start the gateway's pods anew, then `kubectl egress verify`: `kubectl rollout restart deployment NAME -n NAMESPACE`";
    /// Another NetworkPolicy of the namespace opens what the lock closes.
    OTHER_POLICY_OPENS = "EGR-501", Error, "another NetworkPolicy opens a way out beside the lock",
        "NetworkPolicies add up: what one of them allows to a pod, no other one can refuse (Kubernetes documentation, Network Policies).",
        "`kubectl describe networkpolicy -n NAMESPACE` shows its rules; take the rule out, or let the policy select other pods; then `kubectl egress verify`";
    /// The lock that was confirmed is gone or different.
    LOCK_CHANGED = "EGR-502", Error, "the lock is not as it was proven",
        "Somebody changed or deleted the lock's NetworkPolicy, so that the proof of that time no longer holds.",
        "`kubectl get networkpolicy NAME -n NAMESPACE -o yaml --show-managed-fields` tells who and when; `kubectl egress lockdown` puts it back and proves it again";
    /// A lock that nothing enforces.
    LOCK_WITHOUT_EFFECT = "EGR-503", Error, "NetworkPolicies have no effect in this cluster",
        "A pod that a NetworkPolicy selects reaches what no rule of it allows: the API server stores policies, and only the CNI plugin, or an engine beside it, enforces them. Flannel alone, for example, does not.",
        "install a policy engine (Calico, Cilium, kube-router, the cloud's own) or switch it on, then `kubectl egress lockdown` again";
    /// Names no longer resolve under the lock.
    LOCK_BREAKS_DNS = "EGR-504", Error, "names do not resolve under the lock",
        "The pods ask a resolver that the lock does not let through: one on the node that neither resolv.conf nor node-local-dns tells of, or one at an address that the policy engine sees otherwise.",
        "compare `kubectl exec POD -- cat /etc/resolv.conf` with the DNS lines of `kubectl egress lockdown --dry-run=client`, and allow the missing address in a NetworkPolicy of your own";
    /// New pods with sidecar do not start under the lock.
    LOCK_BREAKS_SIDECAR_START = "EGR-505", Error, "a new pod's sidecar does not become ready under the lock",
        "The sidecar gets its certificate and configuration from istiod at port 15012 when it starts. Pods that run go on without, and fail when they are started again.",
        "see its log: `kubectl logs POD -c istio-proxy -n NAMESPACE`; check that the istiod line of `kubectl egress lockdown --dry-run=client` is the control plane that injects the namespace";
    /// Declared hosts do not go through the gateway.
    LOCK_BREAKS_HOST = "EGR-506", Error, "a declared host would be cut off",
        "A lock leaves the egress gateway as the only way out, and this host does not take it.",
        "route it first: `kubectl egress setup HOST`, then `kubectl egress verify`";
    /// The gateway is out of reach.
    LOCK_BREAKS_GATEWAY = "EGR-507", Error, "the gateway is out of reach under the lock",
        "This network plugin sees other addresses or ports than those that were derived, or a NetworkPolicy in the gateway's namespace does not let these pods in.",
        "look at the NetworkPolicies of the gateway's namespace: `kubectl get networkpolicy -A`";
    /// A workload stopped being ready.
    LOCK_BREAKS_WORKLOAD = "EGR-508", Error, "pods stopped being ready under the lock",
        "They need something that the lock does not let through, for example a database outside of the namespace.",
        "allow other pods of the cluster: `--in-cluster allow`; or add a NetworkPolicy of your own that lets through what they need";
    /// The dead-man's switch would not be able to work.
    SWITCH_CANNOT_UNDO = "EGR-509", Error, "the dead-man's switch could not take the lock back",
        "Its pod does not reach the API server under the lock's rules, or may not delete the NetworkPolicy.",
        "some network plugins do not match nodes by ipBlock: the API server's address must be reachable from a locked pod by a NetworkPolicy";
    /// Connections that were open before.
    CONNECTIONS_FROM_BEFORE = "EGR-510", Warning, "connections that were open before the lock may go on",
        "Most policy engines judge a connection when it is opened. One that the application, its sidecar or the gateway keeps open is not looked at again.",
        "restart the pods that hold them: `kubectl rollout restart deployment NAME -n NAMESPACE`";
    /// Policies of kinds that we do not evaluate.
    FOREIGN_POLICY_KINDS = "EGR-511", Warning, "policies of the CNI plugin's own kinds are not evaluated",
        "CiliumNetworkPolicy, Calico's GlobalNetworkPolicy and AdminNetworkPolicy can allow or refuse what NetworkPolicy says otherwise; only the probes tell what they do.",
        "look at those that select the namespace's pods; the probes of `kubectl egress verify` are made with them in force";
    /// The lock's selector leaves pods out.
    PODS_NOT_LOCKED = "EGR-512", Warning, "pods of the namespace are not locked",
        "The lock's selector does not select them, or they are on the host's network, where no NetworkPolicy of pods applies.",
        "lock all pods: `kubectl egress lockdown -n NAMESPACE` without `--selector`; forbid host networking by the namespace's Pod Security level (`pod-security.kubernetes.io/enforce: baseline`)";
    /// The lock was taken back.
    LOCK_ROLLED_BACK = "EGR-513", Error, "the lock was taken back",
        "Its proof was not complete when the dead-man's switch was due, or somebody changed the lock meanwhile.",
        "try again: `kubectl egress lockdown`";
    /// A lock whose run died.
    LOCK_NOT_CONFIRMED = "EGR-514", Warning, "a lock is not confirmed",
        "The run of `kubectl egress lockdown` that made it has not come to its end; its dead-man's switch takes it back.",
        "wait for that run, or try again: `kubectl egress lockdown`";
    /// What the lock was derived from has changed.
    LOCK_OUTDATED = "EGR-515", Warning, "the lock was derived from what has changed since",
        "A lock names pods, ports and addresses of DNS, istiod and the gateway as they were; when these move, it stops what it should let through, or lets through what is no longer theirs.",
        "derive and prove it anew: `kubectl egress lockdown`";
    /// Connections that a lock would end.
    LOCK_WOULD_CUT_OFF = "EGR-516", Warning, "the lock cuts off what workloads reach now",
        "Before a lock is made, what the sidecars' logs and counters tell is judged under its rules. Pods without a sidecar, and those whose access log is off, are not among it.",
        "`kubectl egress learn -n NAMESPACE --write FILE` proposes a plan for what leaves; `--in-cluster allow` and `--allow-api-server` keep what stays inside";
    /// An attempt got out.
    ATTEMPT_GOT_OUT = "EGR-601", Error, "an attempt got out without the gateway",
        "`kubectl egress verify --bypass` makes pods that go past the sidecar, and tries. Without a lock nothing below the mesh stops them; under one, another NetworkPolicy or the network plugin lets them through.",
        "`kubectl egress lockdown` lets out only DNS, istiod and the gateway's pods, and proves it";
    /// An attempt without a control.
    ATTEMPT_INCONCLUSIVE = "EGR-602", Warning, "an attempt decided nothing",
        "Silence is a block only where somebody would have answered. Under a lock that takes a record of `kubectl egress verify --bypass` from before the lock, or a pod that no lock holds.",
        "compare with a pod of a namespace that is not locked: `kubectl egress verify --bypass --attempts all`; or make the record: unlock, `kubectl egress verify --bypass`, lockdown";
    /// The gateway's port is open to pods without sidecar.
    GATEWAY_CARRIES_ANYBODY = "EGR-603", Warning, "the gateway carries pods without sidecar",
        "A passthrough listener asks nobody who they are: whoever reaches the gateway's port and names a declared host is carried, logged but not authenticated.",
        "ask for mutual TLS between sidecar and gateway: `kubectl egress setup HOST --mesh-mtls`, and name who may: `--allow-from`";
    /// The ingress gateway can be reached under a lock.
    INGRESS_GATEWAY_REACHABLE = "EGR-604", Error, "the ingress gateway can be reached under the lock",
        "A NetworkPolicy lets all of its namespace through, as tutorials do for istio-system. The ingress gateway is a proxy like the egress gateway: whoever may make a Gateway and a VirtualService for it leaves through it, past the egress gateway.",
        "let the policy name the egress gateway's pods and istiod's by podSelector, as `kubectl egress lockdown` does; `kubectl describe networkpolicy -n NAMESPACE` shows which rule lets all of a namespace through";
    /// hostNetwork.
    HOST_NETWORK_GETS_OUT = "EGR-605", Error, "a pod on the host's network gets out",
        "NetworkPolicies hold pods, and a pod with hostNetwork has the node's address. Only admission stops it.",
        "`kubectl label namespace NAMESPACE pod-security.kubernetes.io/enforce=baseline`";
    /// Another namespace is open.
    OTHER_NAMESPACE_GETS_OUT = "EGR-606", Warning, "a pod of another namespace gets out",
        "A lock holds the pods of its namespace. Whoever may make pods in another one, or reaches one there that passes traffic on, is not held by it.",
        "lock the other namespaces as well: `kubectl egress lockdown -n OTHER --plan NAMESPACE/NAME`; see who may make pods: `kubectl auth can-i create pods -A --list`";
    /// What no lock closes.
    OPEN_BY_DESIGN = "EGR-607", Info, "ways that no lock closes",
        "Inside the TLS of a declared host nobody sees which Host is asked for (domain fronting), and the resolver that pods must reach passes names on to the outside (DNS tunnelling).",
        "let the TLS end at the gateway (modes http and tls-origination); give the namespace a resolver that answers for the cluster and the declared hosts only";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let mut codes: Vec<_> = CATALOGUE.iter().map(|article| article.code).collect();
        assert!(
            codes
                .iter()
                .all(|code| code.len() == 7 && code.starts_with("EGR-"))
        );
        let before = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), before);
    }

    #[test]
    fn finds_an_article_in_any_case() {
        assert_eq!(
            article("egr-101").unwrap().title,
            "request left directly from the sidecar"
        );
        assert_eq!(article("EGR-999"), None);
    }
}
