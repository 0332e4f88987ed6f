//! What happens between listening and judging: a replica more, a log that is rotated, streams that are cut, a clock
//! that is wrong. None of it may turn into a wrong verdict.

use crate::support::wire::Wire;
use crate::support::{faketime, open};
use kubectl_egress_lab::traffic::{self, Traffic};
use std::path::{Path, PathBuf};

/// Said when the followers stand and the probes leave.
const PROBES_LEAVE: &str = "probes";

#[test]
fn a_clock_that_is_an_hour_off_misleads_nobody() {
    let Some(library) = faketime() else {
        return;
    };
    let stage = open!(shared).with_route();
    for offset in ["-1h", "+1h"] {
        let clock = [
            ("LD_PRELOAD", library),
            ("FAKETIME", offset),
            // Durations stay true on a laptop whose clock is wrong.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let mark = stage.mark();
        let verify = stage.egress_with("verify --skip-unmeshed -o json", &clock);
        assert_eq!(verify.exits(0).json()["claims"]["routed"], "proven", "{verify}");
        assert_eq!(stage.peers_of(mark, &stage.host, 443), stage.gateway_addresses());
    }
    stage.kubectl.run(&format!(
        "delete serviceentries.networking.istio.io --all -n {}",
        stage.namespace
    ));
    stage.probe_until(&format!("https://{}", stage.host), "bypassed");
    let clock = [("LD_PRELOAD", library), ("FAKETIME", "-1h")];
    stage
        .egress_with("verify --skip-unmeshed", &clock)
        .exits(1)
        .says(&["EGR-101"]);
}

#[test]
fn a_replica_that_comes_between_listening_and_probing_is_listened_to() {
    let stage = open!(alone).with_route();
    let mark = stage.mark();
    let mut running = stage.start("verify --skip-unmeshed -o json");
    running.until_it_says("listen");
    stage
        .kubectl
        .run("scale deployment istio-egressgateway -n istio-system --replicas=2");
    let first = running.finish();
    first.is_never_disproven();
    stage.scale_gateway(2);
    let verify = stage.egress("verify --skip-unmeshed -o json");
    assert_eq!(verify.exits(0).json()["claims"]["routed"], "proven", "{verify}");
    assert!(
        stage
            .peers_of(mark, &stage.host, 443)
            .is_subset(&stage.gateway_addresses())
    );
    stage.scale_gateway(1);
}

#[test]
fn a_log_that_is_rotated_meanwhile_misleads_nobody() {
    let mut stage = open!(alone).routed("noise.test");
    let (crowd, lab) = (stage.another_namespace(), stage.lab().clone());
    let logs = lab.layout().data_dir().join("pod-logs");
    let before = rotated(&logs);
    let noise = Traffic {
        namespace: crowd,
        host: "noise.test".into(),
        rate: 100.0,
    };
    traffic::start(&lab, &noise).unwrap();
    let mut proven = 0;
    // As long as it takes until the kubelet has rotated the gateway's log under two runs.
    for _ in 0..60 {
        let run = stage.egress("verify --skip-unmeshed -o json");
        run.is_never_disproven();
        proven += usize::from(run.json()["claims"]["routed"] == "proven");
        if rotated(&logs) >= before + 2 {
            break;
        }
    }
    traffic::stop(&lab).unwrap();
    assert!(rotated(&logs) >= before + 2, "the kubelet rotated nothing");
    assert!(proven > 0, "no run was proven while others used the gateway");
}

#[test]
fn streams_that_are_cut_while_probing_mislead_nobody() {
    let stage = open!(shared).with_route();
    let server = stage
        .kubectl
        .run("config view --minify -o jsonpath={.clusters[0].cluster.server}");
    let server = server.trim_start_matches("https://");
    let name = server.split(':').next().unwrap();
    let wire = Wire::to(server);
    let typed = format!(
        "verify --skip-unmeshed -o json --server {} --tls-server-name {name}",
        wire.url()
    );
    for moment in ["listen", PROBES_LEAVE] {
        let mut running = stage.start(&typed);
        running.until_it_says(moment);
        wire.cut();
        running.finish().is_never_disproven();
    }
    // The same wire, left alone.
    stage.egress(&typed).exits(0);
}

/// Rotated files of the gateway's access log: beside `N.log` the kubelet keeps `N.log.TIME`.
fn rotated(logs: &Path) -> usize {
    let folders = std::fs::read_dir(logs).unwrap().map_while(Result::ok);
    let gateways = folders.filter(|folder| {
        let name = folder.file_name();
        name.to_string_lossy()
            .starts_with("istio-system_istio-egressgateway-")
    });
    let files = gateways
        .map(|folder| -> PathBuf { folder.path().join("istio-proxy") })
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|folder| folder.map_while(Result::ok));
    files
        .filter(|file| file.file_name().to_string_lossy().contains(".log."))
        .count()
}
