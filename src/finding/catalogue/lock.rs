//! 5nn: the lock.

use super::catalogue;

catalogue! {
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
}
