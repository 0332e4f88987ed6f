//! On the lab: what the same hosts cost istiod and the proxies in three layouts: the plan's objects, which share hosts;
//! four objects for every 25 hosts; the tutorial's four objects for each host.

use super::lab::{Place, kubectl, lab, ours, words};
use super::{Measured, Unmeasured};
use crate::bench::Bench;
use crate::manifests;
use crate::process::Usage;
use crate::row::Row;
use crate::spread::{Spread, Unit};
use anyhow::{Context, Result};
use kubectl_egress_lab::Lab;
use std::time::{Duration, Instant};

const HOSTS: usize = 1_000;
const ISTIO: &str = "istio-system";
const GATEWAY: &str = "deployment/istio-egressgateway";
const SOURCE: &str = "deployment/curl";
/// How long a proxy may take to have the last host.
const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(bench: &Bench) -> Measured {
    let lab = lab(bench)?;
    let mut rows = vec![plan(bench, lab)?, one_more(bench, lab)?];
    let layouts = [
        (
            "four objects for every 25 hosts",
            manifests::in_shares as fn(usize, &str) -> String,
        ),
        ("the tutorial's four objects for each host", manifests::of_hosts),
    ];
    for (name, manifests) in layouts {
        rows.push(by_kubectl(bench, lab, name, &manifests)?);
    }
    Ok(rows)
}

/// The plan's layout.
fn plan(bench: &Bench, lab: &Lab) -> Result<Row, Unmeasured> {
    let place = with_source(bench, lab, "plan")?;
    let before = Seen::of(lab, &place.name)?;
    let begin = Instant::now();
    setup(bench, lab, &place.name, HOSTS)?;
    // The command's end is when both proxies have the last host.
    let routed = begin.elapsed();
    let row = before.row(lab, &place.name, "the plan's objects", None, routed)?;
    cleanup(bench, lab, &place.name)?;
    Ok(row.judged("10 s", routed <= Duration::from_secs(10)))
}

/// One host more, of a plan that has many.
fn one_more(bench: &Bench, lab: &Lab) -> Result<Row, Unmeasured> {
    let place = with_source(bench, lab, "more")?;
    setup(bench, lab, &place.name, HOSTS)?;
    let begin = Instant::now();
    let said = setup(bench, lab, &place.name, HOSTS + 1)?;
    let took = Spread::single(Unit::Seconds, begin.elapsed().as_secs_f64());
    let changed = said.lines().filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), [_, "created" | "configured", ..])
    });
    let what = format!("one host more than {HOSTS}, of a plan: routed after");
    let row = Row::new(what, format!("{took}, {} objects changed", changed.count()));
    cleanup(bench, lab, &place.name)?;
    Ok(row)
}

/// Another layout, by the faster of kubectl's two ways.
fn by_kubectl(
    bench: &Bench,
    lab: &Lab,
    name: &str,
    manifests: &dyn Fn(usize, &str) -> String,
) -> Result<Row, Unmeasured> {
    let place = with_source(bench, lab, "kubectl")?;
    let before = Seen::of(lab, &place.name)?;
    let file = bench.file("shape.yaml");
    std::fs::write(&file, manifests(HOSTS, &place.name)).context("manifests")?;
    let file = file.display().to_string();
    let begin = Instant::now();
    let applied = kubectl(lab, &["apply", "--server-side", "-f", &file]).run()?;
    let last = manifests::host(HOSTS - 1);
    for (namespace, workload) in [(ISTIO, GATEWAY), (&place.name, SOURCE)] {
        until_it_has(lab, namespace, workload, &last)?;
    }
    let routed = begin.elapsed();
    let row = before.row(lab, &place.name, name, Some(applied), routed)?;
    // One by one their deletion takes a quarter of an hour; the source's namespace takes them along.
    Ok(row)
}

/// A namespace with a source, as a pod takes as long to start for one host as for many.
fn with_source<'run>(bench: &Bench, lab: &'run Lab, what: &str) -> Result<Place<'run>, Unmeasured> {
    let place = Place::new(lab, &format!("shape-{what}"));
    let line = format!("deploy-curl --create-namespace --yes -n {}", place.name);
    ours(bench, lab, words(&line)).run()?;
    // What earlier layouts left in the proxies is gone by then.
    kubectl(lab, &["rollout", "restart", GATEWAY, "-n", ISTIO]).run()?;
    kubectl(lab, &["rollout", "status", GATEWAY, "-n", ISTIO]).run()?;
    Ok(place)
}

fn setup(bench: &Bench, lab: &Lab, namespace: &str, count: usize) -> Result<String, Unmeasured> {
    let line = format!("setup --no-probe --yes -v -n {namespace}");
    let all = words(&line).into_iter().chain(manifests::hosts(count)).collect();
    Ok(ours(bench, lab, all).run_aloud()?.1.errors)
}

fn cleanup(bench: &Bench, lab: &Lab, namespace: &str) -> Result<(), Unmeasured> {
    ours(bench, lab, words(&format!("cleanup --yes -n {namespace}"))).run()?;
    Ok(())
}

/// What is compared before and after.
struct Seen {
    /// Processor time of istiod, in seconds.
    istiod: f64,
    /// Configurations that istiod sent.
    pushes: f64,
    gateway: Proxy,
    source: Proxy,
}

/// A proxy.
struct Proxy {
    /// Bytes that Envoy has allocated.
    memory: f64,
    /// Bytes of its configuration dump.
    configuration: f64,
}

impl Seen {
    fn of(lab: &Lab, namespace: &str) -> Result<Self> {
        let path = "/api/v1/namespaces/istio-system/services/http:istiod:15014/proxy/metrics";
        let (_, said) = kubectl(lab, &["get", "--raw", path]).run_aloud()?;
        let metrics = String::from_utf8_lossy(&said.output);
        Ok(Self {
            istiod: sum_of(&metrics, "process_cpu_seconds_total"),
            pushes: sum_of(&metrics, "pilot_xds_pushes"),
            gateway: Proxy::of(lab, ISTIO, GATEWAY)?,
            source: Proxy::of(lab, namespace, SOURCE)?,
        })
    }

    /// What is different now.
    fn row(
        &self,
        lab: &Lab,
        namespace: &str,
        name: &str,
        applied: Option<Usage>,
        routed: Duration,
    ) -> Result<Row> {
        let now = Self::of(lab, namespace)?;
        let seconds = |figure: f64| Spread::single(Unit::Seconds, figure);
        let bytes = |figure: f64| Spread::single(Unit::Bytes, figure);
        let proxy = |name: &str, before: &Proxy, now: &Proxy| {
            format!(
                "{name}: memory +{}, configuration +{}",
                bytes((now.memory - before.memory).max(0.0)),
                bytes((now.configuration - before.configuration).max(0.0))
            )
        };
        let applied = applied.map_or_else(String::new, |usage| {
            format!("applied in {}, ", seconds(usage.wall.as_secs_f64()))
        });
        Ok(Row::new(
            format!("{HOSTS} hosts as {name}: both proxies have the last one"),
            format!(
                "{applied}routed after {}; istiod: {} of processor time, {} pushes; {}; {}",
                seconds(routed.as_secs_f64()),
                seconds(now.istiod - self.istiod),
                Spread::single(Unit::Count, now.pushes - self.pushes),
                proxy("gateway", &self.gateway, &now.gateway),
                proxy("sidecar", &self.source, &now.source),
            ),
        ))
    }
}

impl Proxy {
    fn of(lab: &Lab, namespace: &str, workload: &str) -> Result<Self> {
        let memory: serde_json::Value = serde_json::from_slice(&admin(lab, namespace, workload, "memory")?)?;
        let allocated = memory["allocated"].as_str().and_then(|text| text.parse().ok());
        #[expect(clippy::cast_precision_loss, reason = "a dump is smaller than that")]
        let configuration = admin(lab, namespace, workload, "config_dump")?.len() as f64;
        Ok(Self {
            memory: allocated.context("Envoy does not say what it has allocated")?,
            configuration,
        })
    }
}

/// Waits until the proxy's listeners know the host. Nothing tells when that changes: it is asked for.
fn until_it_has(lab: &Lab, namespace: &str, workload: &str, host: &str) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let listeners = admin(lab, namespace, workload, "config_dump?resource=dynamic_listeners")?;
        if String::from_utf8_lossy(&listeners).contains(host) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    anyhow::bail!("{workload} in {namespace} does not have {host} after {PATIENCE:?}")
}

/// What a proxy's administration answers.
fn admin(lab: &Lab, namespace: &str, workload: &str, path: &str) -> Result<Vec<u8>> {
    let arguments = [
        "exec",
        workload,
        "-n",
        namespace,
        "-c",
        "istio-proxy",
        "--",
        "pilot-agent",
        "request",
        "GET",
        path,
    ];
    Ok(kubectl(lab, &arguments).run_aloud()?.1.output)
}

/// The sum of a metric over its labels, in Prometheus' text format.
fn sum_of(metrics: &str, name: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit(' ').next())??
            .parse::<f64>()
            .ok()
    };
    metrics.lines().filter_map(of).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let metrics = "# HELP pilot_xds_pushes\npilot_xds_pushes{type=\"cds\"} 3\npilot_xds_pushes{type=\"lds\"} 4\npilot_xds_pushes_other 9\n";
        assert!((super::sum_of(metrics, "pilot_xds_pushes") - 7.0).abs() < f64::EPSILON);
    }
}
