//! Plans beside each other: two over one gateway, one host in two.

use crate::support::open;

#[test]
fn cleaning_one_of_two_plans_over_one_gateway_leaves_the_other_routed() {
    let mut stage = open!(shared).with_route();
    let other = stage.another_namespace();
    stage
        .egress_in(&other, "setup kyma-project.io --create-namespace --no-probe")
        .exits(0);
    let owners = || {
        stage
            .kubectl
            .run("get telemetries.telemetry.istio.io -n istio-system -o json --show-managed-fields")
    };
    let (ours, theirs) = (
        format!("kubectl-egress/{}/default", stage.namespace),
        format!("kubectl-egress/{other}/default"),
    );
    assert!(
        owners().contains(&ours) && owners().contains(&theirs),
        "both plans need the gateway's access log"
    );

    stage.egress_in(&other, "cleanup --verify").exits(0);
    assert!(
        owners().contains(&ours) && !owners().contains(&theirs),
        "the plan that is left still needs it"
    );
    stage.probe_host().is("routed", &stage.gateway_addresses());
    stage.egress("verify --skip-unmeshed").exits(0);

    stage.egress("cleanup --verify").exits(0);
    assert!(!owners().contains(&ours));
}

#[test]
fn a_host_of_another_plan_is_refused_and_its_holder_named() {
    let mut stage = open!(shared).with_route();
    let other = stage.another_namespace();
    let refused = stage.changes_nothing_in(&other, &format!("setup {} --create-namespace", stage.host), None);
    refused.exits(5).says(&[
        &stage.host,
        &format!("{}/default", stage.namespace),
        "hint: ",
        "route --remove",
    ]);
    assert!(
        stage.kubectl.attempt(&format!("get namespace {other}")).is_err(),
        "nothing was made: {refused}"
    );
    // In the same namespace, under another plan's name.
    let same = stage.egress(&format!("setup {} --plan second", stage.host));
    same.exits(5).says(&["/default"]);
    stage.probe_host().is("routed", &stage.gateway_addresses());
}

#[test]
fn hosts_are_added_and_taken_away_while_the_others_stay_routed() {
    let stage = open!(shared).with_route();
    let more = format!("more.{}", stage.host.replacen(".wild.test", "-2.wild.test", 1));
    let more = more.trim_start_matches("more.");
    let gateway = stage.gateway_addresses();
    stage.egress(&format!("route {more}")).exits(0);
    stage
        .probe_until(&format!("https://{more}"), "routed")
        .is("routed", &gateway);
    stage.probe_host().is("routed", &gateway);

    stage
        .egress(&format!("route --remove {more}"))
        .exits(5)
        .says(&["Remove", more, "--yes"]);
    stage.egress(&format!("route --remove {more} --yes")).exits(0);
    stage
        .probe_until(&format!("https://{more}"), "bypassed")
        .is("bypassed", &stage.source_addresses());
    stage.probe_host().is("routed", &gateway);
    stage
        .egress(&format!("route --remove {}", stage.host))
        .exits(2)
        .says(&["last host", "cleanup"]);
}
