//! Bad input: the input, the rule and the way out are named, and nothing is changed.

use crate::support::{manifests, open};

#[test]
fn what_is_typed_wrongly_is_refused_with_its_rule_and_changes_nothing() {
    let stage = open!(shared).with_namespace("");
    let long = format!("{}.example.com", vec!["a".repeat(60); 4].join("."));
    let cases: [(&str, &[&str]); 12] = [
        (
            "setup https://kyma-project.io",
            &["https://kyma-project.io", "give the host alone: kyma-project.io"],
        ),
        ("setup kyma-project.io/docs", &["kyma-project.io/docs", "path"]),
        ("setup 203.0.113.10", &["203.0.113.10", "IP address", "SNI"]),
        (
            "setup kyma-project.io.",
            &["kyma-project.io.", "dot", "without: kyma-project.io"],
        ),
        (
            "setup Kyma-Project.io",
            &["Kyma-Project.io", "upper-case", "kyma-project.io"],
        ),
        ("setup bücher.example", &["bücher.example", "punycode"]),
        ("setup localhost", &["localhost", "one label"]),
        ("setup kyma-project.io:0", &["kyma-project.io:0", "1 to 65535"]),
        (
            "setup kyma-project.io kyma-project.io",
            &["kyma-project.io", "twice"],
        ),
        (
            "setup kyma-project.io kyma-project.io:443",
            &["kyma-project.io", "443", "twice"],
        ),
        ("setup", &["host"]),
        ("setup kyma-project.io --dry-run=maybe", &["maybe", "client"]),
    ];
    for (typed, words) in cases {
        stage.changes_nothing(typed).exits(2).says(words);
    }
    stage
        .changes_nothing(&format!("setup {long}"))
        .exits(2)
        .says(&["253"]);
}

#[test]
fn a_cluster_that_cannot_be_used_is_named() {
    let stage = open!(shared);
    stage
        .changes_nothing("setup kyma-project.io --context nowhere")
        .exits(2)
        .says(&["nowhere", "the contexts are ", "hint: "]);
    let silent =
        stage.changes_nothing("setup kyma-project.io --server https://127.0.0.1:1 --request-timeout 3s");
    silent.exits(4).says(&["127.0.0.1:1", "hint: "]);
    stage
        .egress_bare(&["setup", "kyma-project.io", "--kubeconfig", "/nonexistent/config"])
        .exits(2)
        .says(&["/nonexistent/config"]);
}

#[test]
fn a_namespace_that_cannot_be_used_is_named() {
    let mut stage = open!(shared);
    let ambient = stage.another_namespace();
    stage.make_namespace(&ambient, "istio.io/dataplane-mode=ambient");
    stage.changes_nothing("setup kyma-project.io").exits(2).says(&[
        &stage.namespace,
        "does not exist",
        "--create-namespace",
    ]);
    stage
        .changes_nothing_in(&ambient, "setup kyma-project.io", None)
        .exits(2)
        .says(&[&ambient, "ambient", "hint: "]);
    for typed in ["verify", "status", "cleanup --keep-namespace"] {
        let run = stage.changes_nothing(typed);
        assert!(matches!(run.code, Some(0 | 2)), "{run}");
        assert!(
            run.code == Some(0) || run.stderr.contains(&stage.namespace),
            "{run}"
        );
    }
    stage
        .changes_nothing_in("Not_A_Name", "setup kyma-project.io", None)
        .exits(2)
        .says(&["Not_A_Name"]);
}

#[test]
fn a_foreign_virtual_service_for_the_host_is_refused_by_name() {
    let stage = open!(shared).with_namespace("");
    stage.kubectl.apply(&manifests::virtual_service(
        &stage.namespace,
        "theirs",
        &stage.host,
    ));
    stage
        .changes_nothing(&format!("setup {}", stage.host))
        .exits(5)
        .says(&[
            &stage.host,
            &format!("{}/theirs", stage.namespace),
            "because",
            "hint: ",
        ]);
}

/// As the tutorials leave it: taken over, it would be deleted by `cleanup`.
#[test]
fn a_service_account_under_our_source_s_name_is_refused_and_stays() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    let namespace = &stage.namespace;
    stage
        .kubectl
        .run(&format!("create serviceaccount curl -n {namespace}"));
    stage
        .changes_nothing(&format!("setup {}", stage.host))
        .exits(5)
        .says(&["ServiceAccount", &format!("{namespace}/curl"), "kubectl delete"]);
    stage.egress("cleanup --verify").exits(0);
    stage
        .kubectl
        .run(&format!("get serviceaccount curl -n {namespace}"));
}

#[test]
fn a_deployment_under_our_source_s_name_is_refused_with_its_owner() {
    let stage = open!(shared).with_namespace("istio-injection=enabled");
    stage.kubectl.apply(&manifests::workload(
        &stage.namespace,
        "curl",
        manifests::BUSYBOX,
        true,
    ));
    stage
        .changes_nothing(&format!("setup {} --no-probe", stage.host))
        .exits(5)
        .says(&["curl", "somebody-else"]);
    let owner = stage.kubectl.run(&format!(
        "get deployment curl -n {} -o jsonpath={{.spec.template.spec.containers[*].image}}",
        stage.namespace
    ));
    assert_eq!(owner, manifests::BUSYBOX, "theirs is as it was");
}

#[test]
fn a_plan_file_with_a_mistake_is_refused_with_its_place() {
    let stage = open!(shared).with_namespace("");
    let plan = |spec: &str| {
        format!(
            "apiVersion: kubectl-egress.dev/v1alpha1\nkind: EgressPlan\nmetadata: {{name: default}}\nspec:\n{spec}"
        )
    };
    let cases: [(String, &[&str]); 7] = [
        (plan("  hosts:\n  - host: Kyma.io\n"), &["upper-case"]),
        (plan("  hosts:\n  - hots: kyma-project.io\n"), &["hots"]),
        (
            plan("  hosts:\n  - {host: kyma-project.io}\n  - {host: kyma-project.io}\n"),
            &["kyma-project.io", "twice"],
        ),
        (plan("  hosts: []\n"), &["host"]),
        (
            plan("  hosts:\n  - {host: kyma-project.io, ports: [{port: 70000}]}\n"),
            &["65535"],
        ),
        (
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {}\nspec: {hosts: []}\n".to_owned(),
            &["EgressPlan"],
        ),
        ("{{{".to_owned(), &["not valid"]),
    ];
    for (text, words) in cases {
        stage
            .changes_nothing_in(&stage.namespace, "setup -f -", Some(&text))
            .exits(2)
            .says(words)
            .says(&["plan file"]);
    }
    stage
        .changes_nothing("setup -f /nonexistent/plan.yaml")
        .exits(2)
        .says(&["/nonexistent/plan.yaml"]);
}
