//! 3nn: routing objects.

use super::catalogue;

catalogue! {
    /// A routing object of the plan is missing.
    OBJECT_MISSING = "EGR-301", Error, "an object of the plan is missing",
        "Somebody deleted it after the set-up.",
        "`kubectl egress setup` applies it again";
    /// A routing object differs from the plan.
    OBJECT_DRIFTED = "EGR-302", Warning, "an object of the plan was changed",
        "Its fields differ from what the plan renders.",
        "`kubectl egress diff` shows the difference; `kubectl egress setup` puts it back";
    /// A rule of ours hides one of somebody else's.
    DESTINATION_RULE_SHADOWED = "EGR-303", Warning, "a DestinationRule of the gateway is shadowed",
        "Istio takes the DestinationRule of the client's namespace first; the plan's own, which only names a subset, hides another one for the gateway there.",
        "routes of your own to the gateway from this namespace lose that rule's settings; copy what they need into a rule of this namespace";
}
