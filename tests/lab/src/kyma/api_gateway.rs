//! The process that plays Kyma's API Gateway module: an `APIRule` becomes objects of Istio, and its status says so.
//! Source: `controllers/gateway/api_controller.go` of kyma-project/api-gateway.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use super::queue::{Next, Queue};
use super::watch::{self, Key, key};
use super::{Client, api_rule};
use crate::output;

/// The kind, with its group and the version that the module reads.
const KIND: &str = "apirules.v2.gateway.kyma-project.io";
/// Holds a deleted rule until what was made for it is gone.
const FINALIZER: &str = "gateway.kyma-project.io/subresources";
/// Kinds that the module makes.
const MADE: &str = "virtualservices.networking.istio.io,authorizationpolicies.security.istio.io";

/// What the hidden command that plays the module needs to know.
#[derive(Debug, Clone, Args)]
pub(crate) struct ApiGatewayArguments {
    /// The administrator's kubeconfig.
    #[arg(long)]
    pub kubeconfig: PathBuf,
}

/// Plays the module until the process is stopped. What fails is written to the log and tried again.
pub(crate) fn serve(arguments: ApiGatewayArguments) {
    let client = Client::new(arguments.kubeconfig);
    let (sender, news) = channel();
    let watching = client.clone();
    std::thread::spawn(move || watch::run(&watching, KIND, &sender));
    let mut queue = Queue::default();
    loop {
        match news.recv_timeout(queue.pause()) {
            Ok(object) => queue.at_once(key(&object)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if let Some(key) = queue.due() {
            let next = reconcile(&client, &key).unwrap_or_else(|error| {
                output::note(&format!("{}/{}: {error:#}", key.0, key.1));
                Next::Again
            });
            queue.plan(key, next);
        }
    }
}

fn reconcile(client: &Client, key: &Key) -> Result<Next> {
    let all = client.list(KIND, &["--namespace", &key.0])?;
    let Some(rule) = all.iter().find(|rule| &watch::key(rule) == key) else {
        return Ok(Next::Settled);
    };
    if rule.pointer("/metadata/deletionTimestamp").is_some() {
        let selector = api_rule::owner_selector(rule);
        client.run(&["delete", MADE, "--all-namespaces", "--selector", &selector])?;
        hold(client, key, &json!([]))?;
        return Ok(Next::Settled);
    }
    hold(client, key, &json!([FINALIZER]))?;
    let (state, description, next) = match make(client, rule) {
        Ok(()) => ("Ready", "Reconciled successfully".to_owned(), Next::Settled),
        Err(error) => ("Error", format!("{error:#}"), Next::Again),
    };
    output::note(&format!("{}/{}: {state} {description}", key.0, key.1));
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({"status": {"state": state, "description": description, "lastProcessedTime": time}});
    client.patch_part(KIND, &key.0, &key.1, &["--subresource=status"], &status)?;
    Ok(next)
}

fn hold(client: &Client, key: &Key, finalizers: &Value) -> Result<()> {
    let patch = json!({"metadata": {"finalizers": finalizers}});
    client.patch_part(KIND, &key.0, &key.1, &[], &patch)
}

fn make(client: &Client, rule: &Value) -> Result<()> {
    let (namespace, name) = api_rule::service(rule)?;
    let services = client.list("services", &["--namespace", &namespace])?;
    let service = services.iter().find(|service| watch::key(service).1 == name);
    let selector = service.and_then(|service| service.pointer("/spec/selector")?.as_object());
    let selector =
        selector.with_context(|| format!("Service {namespace}/{name} is not there or selects no pods"))?;
    for object in api_rule::objects(rule, selector)? {
        client.apply(&object)?;
    }
    Ok(())
}
