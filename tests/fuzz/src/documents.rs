//! Files that users write, and YAML that we write.

use kubectl_egress::cluster::{Cluster, ConnectionSettings};
use kubectl_egress::plan::{GatewayPort, GatewayTarget, from_file, routing, to_file};
use serde_json::Value;
use std::io::Write as _;
use std::sync::Arc;

/// Any text is a plan or a plain error; a plan is read back as it was written, and its objects are YAML.
pub fn plan_file(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let plan = match from_file("plan.yaml", &text, None, "demo") {
        Ok(plan) => plan,
        Err(error) => return super::assert_plain(&error.to_string(), &String::from_utf8_lossy(data)),
    };
    let written = to_file(&plan).unwrap();
    let again = from_file("plan.yaml", &written, None, "elsewhere");
    assert_eq!(again.as_ref().ok(), Some(&plan), "{written}: {again:?}");
    let gateway = GatewayTarget {
        namespace: "istio-system".into(),
        service: "istio-egressgateway".into(),
        selector: [("istio".into(), "egressgateway".into())].into(),
        tls_port: 443,
        tls_target_port: 8443,
        http: Some(GatewayPort::CUSTOMARY_HTTP),
        created: false,
    };
    for manifest in routing::objects(&plan, &gateway) {
        assert_read_back(&manifest.object.0);
    }
}

/// What is JSON is written as YAML that says the same, whatever names and values are in it.
pub fn yaml_round_trip(data: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        assert_read_back(&value);
    }
}

fn assert_read_back(value: &Value) {
    let text = serde_saphyr::to_string(value).unwrap();
    let read: Value =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}: {value} as {text}"));
    assert_eq!(&read, value, "{text}");
}

/// Any file is a kubeconfig or an error in plain words. No credential plugin is run, nobody is connected to.
pub fn kubeconfig(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(data).unwrap();
    let settings = ConnectionSettings {
        kubeconfig: Some(file.path().to_owned()),
        ..ConnectionSettings::default()
    };
    if let Err(error) = Cluster::kubeconfig_names(&settings) {
        super::assert_plain(&error.to_string(), &String::from_utf8_lossy(data));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    // A plugin would be a program of the input's own.
    if !data.windows(4).any(|word| word == b"exec") {
        let _ = runtime.block_on(Cluster::connect(&settings, Arc::new(|_| {})));
    }
}
