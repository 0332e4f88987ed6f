//! Secrets with certificates as a step of the plan: in order, nowhere shown, undone; and users who may not see them.

use crate::support::{clean_up, client, differences, dump, plan, quick, sandbox, set_up, settings};
use kubectl_egress::certificate::{CertificateRequest, authority};
use kubectl_egress::cluster::DeleteOptions;
use kubectl_egress::engine::client_secret::{
    Holds, SecretContent, SecretUser, SecretWish, client_secret_findings,
};
use kubectl_egress::engine::prepare::{Parts, SetupSettings, prepare};
use kubectl_egress::engine::undo;
use kubectl_egress::finding::Severity;
use kubectl_egress::plan::journal::Journal;
use kubectl_egress::plan::secrets::Credential;
use kubectl_egress::sandbox::{Denial, Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::ExitCode;
use secrecy::ExposeSecret;

fn wish(user: SecretUser) -> SecretWish {
    let request = |common_name: &str| CertificateRequest {
        common_name: common_name.to_owned(),
        organization: None,
        dns_names: Vec::new(),
        valid_days: 365,
        now: jiff::Timestamp::now(),
    };
    let root = authority(&request("root")).unwrap();
    let client = root.issue_client(&request("client")).unwrap();
    SecretWish {
        user,
        name: "client-credential".to_owned(),
        content: SecretContent::Client(Credential {
            certificate: client.certificate_pem,
            key: client.key_pem,
            authority: Some(root.certificate_pem),
        }),
    }
}

fn key_of(wish: &SecretWish) -> String {
    let SecretContent::Client(credential) = &wish.content else {
        panic!("{wish:?}")
    };
    credential.key.expose_secret().to_owned()
}

fn with_secret() -> SetupSettings {
    SetupSettings {
        secrets: vec![wish(SecretUser::Gateway)],
        ..settings(&["kyma-project.io"])
    }
}

#[tokio::test]
async fn a_gateway_of_ours_may_read_secrets_before_one_is_made_and_routes_come_last() {
    let sandbox = Sandbox::new(SandboxSettings {
        egress_gateway: false,
        ..quick()
    });
    let cluster = client(&sandbox);
    let before = dump(&sandbox);
    let wanted = with_secret();
    let key = key_of(&wanted.secrets[0]);
    set_up(&cluster, wanted).await.unwrap();
    let requests = sandbox.requests();
    let at = |what: &str| {
        requests
            .iter()
            .position(|request| {
                // The journal is made by a POST to its collection.
                let written = ["PATCH", "POST"].contains(&request.method.as_str());
                written && request.path.contains(what)
            })
            .unwrap_or_else(|| panic!("{what} was never written"))
    };
    assert!(at("/rolebindings/") < at("/secrets/client-credential"));
    assert!(at("/roles/") < at("/secrets/client-credential"));
    assert!(at("/secrets/client-credential") < at("/virtualservices/"));
    assert!(
        at("/namespaces/demo/configmaps") < at("/roles/"),
        "journalled first"
    );

    let after = dump(&sandbox);
    let journal = after["ConfigMap demo/kubectl-egress-default"].to_string();
    let secret = &after["Secret istio-system/client-credential"];
    assert!(journal.contains("client-credential"));
    assert!(!journal.contains(secret["data"]["tls.key"].as_str().unwrap()));
    assert!(!journal.contains(key.lines().nth(1).unwrap()));

    assert_eq!(clean_up(&cluster).await.unwrap(), Vec::<String>::new());
    assert_eq!(
        undo::leftovers(&cluster, &plan()).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn a_gateway_that_was_there_has_its_role_already() {
    let sandbox = sandbox();
    set_up(&client(&sandbox), with_secret()).await.unwrap();
    assert!(dump(&sandbox).keys().all(|name| !name.starts_with("Role")));
}

#[tokio::test]
async fn prepared_secrets_show_no_private_data() {
    let sandbox = sandbox();
    let wanted = with_secret();
    let key = key_of(&wanted.secrets[0]);
    let prepared = prepare(&client(&sandbox), wanted).await.unwrap();
    let sent = prepared.secrets.secrets[0]
        .manifest()
        .object
        .text("/data/tls.key")
        .to_owned();
    let shown = format!("{prepared:?}");
    assert!(!shown.contains(&sent) && !shown.contains(key.lines().nth(1).unwrap()));
    assert!(prepared.secrets.shown()[0].object.text("/data/tls.key") == "***");
}

#[tokio::test]
async fn a_killed_run_leaves_nothing_that_clean_up_does_not_find() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let before = dump(&sandbox);
    set_up(&cluster, with_secret()).await.unwrap();
    // As if the journal had never been written.
    cluster
        .delete(&Journal::reference_of(&plan()), &DeleteOptions::default())
        .await
        .unwrap();
    assert_eq!(clean_up(&cluster).await.unwrap(), Vec::<String>::new());
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_list_secrets_everywhere_can_still_clean_up() {
    let sandbox = Sandbox::new(SandboxSettings {
        denials: vec![Denial::new("list", "", "secrets")],
        ..quick()
    });
    let cluster = client(&sandbox);
    // A namespace that is ours is only deleted by who can see what is in it.
    let namespace =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}});
    sandbox.put(&namespace).unwrap();
    let before = dump(&sandbox);
    set_up(&cluster, settings(&["kyma-project.io"])).await.unwrap();
    clean_up(&cluster).await.unwrap();
    assert_eq!(
        undo::leftovers(&cluster, &plan()).await.unwrap(),
        Vec::<String>::new()
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn who_may_not_make_secrets_there_is_told_before_anything_is_changed() {
    let sandbox = Sandbox::new(SandboxSettings {
        denials: vec![Denial::new("create", "", "secrets").in_namespace("istio-system")],
        ..quick()
    });
    let before = dump(&sandbox);
    let refused = prepare(&client(&sandbox), with_secret()).await.unwrap_err();
    assert_eq!(refused.code(), ExitCode::Cluster);
    assert!(
        refused
            .to_string()
            .contains("create secrets in namespace istio-system"),
        "{refused}"
    );
    assert_eq!(differences(&before, &dump(&sandbox)), Vec::<String>::new());
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_a_warning_and_a_missing_one_an_error() {
    let now = jiff::Timestamp::now();
    let names = [("client-credential", Holds::Client)];
    let find = |sandbox: Sandbox| async move {
        client_secret_findings(&client(&sandbox), "istio-system", "demo", &names, now)
            .await
            .unwrap()
    };
    let blind = Sandbox::new(SandboxSettings {
        denials: vec![Denial::new("get", "", "secrets")],
        ..quick()
    });
    let findings = find(blind).await;
    assert_eq!(
        (findings[0].code.as_str(), findings[0].severity),
        ("EGR-424", Severity::Warning)
    );
    let findings = find(sandbox()).await;
    assert_eq!(
        (findings[0].code.as_str(), findings[0].severity),
        ("EGR-420", Severity::Error)
    );
}

#[tokio::test]
async fn a_changed_secret_of_the_gateway_is_told_to_spare_open_connections() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    let codes = |wanted| {
        let cluster = cluster.clone();
        async move {
            let findings = prepare(&cluster, wanted).await.unwrap().findings;
            let codes = findings.into_iter().map(|finding| finding.code);
            codes.filter(|code| code == "EGR-425").count()
        }
    };
    let first = with_secret();
    assert_eq!(codes(first.clone()).await, 0, "it is not there yet");
    set_up(&cluster, first.clone()).await.unwrap();
    assert_eq!(codes(first).await, 0, "the same content");
    assert_eq!(codes(with_secret()).await, 1, "another certificate");
}

#[tokio::test]
async fn another_plans_secret_is_left_alone() {
    let sandbox = sandbox();
    let cluster = client(&sandbox);
    set_up(&cluster, with_secret()).await.unwrap();
    let parts = Parts {
        gateway: false,
        source: false,
        routing: false,
    };
    let other = SetupSettings {
        plan: kubectl_egress::vocabulary::PlanIdentity::new("demo", "other").unwrap(),
        hosts: Vec::new(),
        parts,
        ..with_secret()
    };
    let refused = prepare(&cluster, other).await.unwrap_err();
    assert_eq!(refused.code(), ExitCode::Consent);
    assert!(refused.to_string().contains("another content"), "{refused}");
}
