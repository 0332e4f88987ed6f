//! Both sides of each request in the same words, and how often they are the same.

use super::case::{Ask, Case};
use super::reality::{Observed, Reality};
use kubectl_egress::evidence::AccessLogLine;
use kubectl_egress::mesh::{Carries, PredictedHop, Prediction, Request, SourcePod, World, predict};
use kubectl_egress::vocabulary::{Object, Outcome};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::net::IpAddr;

/// How often a case on which they disagree is sent.
const TRIES: usize = 3;

/// What became of a request, in words that both sides can say.
#[derive(Debug)]
pub(super) struct Said {
    /// `by the gateway`, `directly`, or `not`: whether the host served it, and whose connection did.
    pub(super) served: &'static str,
    /// Each proxy's cluster and flags, and over HTTP its answer.
    pub(super) hops: Vec<String>,
    /// Whether the lines of all proxies could be found: a connection that did not come about has no address.
    chained: bool,
}

/// One request with both answers.
struct Compared {
    case: String,
    url: String,
    model: Said,
    lab: Said,
    not_modelled: Vec<String>,
    curl: String,
}

impl Compared {
    fn of(
        reality: &Reality<'_>,
        world: &World,
        request: &Request,
        (case, ask): (&Case, &Ask),
        observed: &Observed,
    ) -> Self {
        let prediction = predict(world, request);
        Self {
            case: case.name.clone(),
            url: ask.title(),
            model: of_model(&prediction),
            lab: of_lab(reality, observed),
            not_modelled: prediction.not_modelled,
            curl: format!("{} {} {}", observed.exit, observed.code, observed.said),
        }
    }

    fn agrees(&self) -> bool {
        let hops = if self.lab.chained {
            self.model.hops == self.lab.hops
        } else {
            self.model.hops.starts_with(&self.lab.hops)
        };
        self.not_modelled.is_empty() && self.model.served == self.lab.served && hops
    }
}

/// How often model and lab say the same.
pub(super) struct Agreement {
    compared: Vec<Compared>,
    refused: Vec<String>,
    cases: usize,
}

impl Agreement {
    pub(super) fn of(reality: &Reality<'_>, cases: &[Case]) -> Self {
        Self {
            refused: reality.apply(cases),
            ..Self::as_it_is(reality, cases)
        }
    }

    /// The same where the cases' objects are there already.
    pub(super) fn as_it_is(reality: &Reality<'_>, cases: &[Case]) -> Self {
        let objects = reality.objects();
        let world = World::new(&objects);
        let mut pending: Vec<&Case> = cases.iter().collect();
        let mut compared = Vec::new();
        for left in (0..TRIES).rev() {
            let observed = reality.send(&pending);
            let mut again = Vec::new();
            for (case, observed) in pending.iter().copied().zip(&observed) {
                let both: Vec<Compared> = case
                    .asks
                    .iter()
                    .zip(observed)
                    .map(|(ask, observed)| {
                        Compared::of(
                            reality,
                            &world,
                            &request(&objects, case, ask),
                            (case, ask),
                            observed,
                        )
                    })
                    .collect();
                // A proxy may have got its configuration late, and a line may be lost when a log is rotated.
                if left > 0 && !both.iter().all(Compared::agrees) {
                    again.push(case);
                } else {
                    compared.extend(both);
                }
            }
            pending = again;
        }
        Self {
            compared,
            refused: Vec::new(),
            cases: cases.len(),
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.compared.iter().all(Compared::agrees)
    }

    /// Every request on which they disagree, with both sides.
    pub(super) fn disagreements(&self) -> String {
        let mut text = String::new();
        for one in self.compared.iter().filter(|one| !one.agrees()) {
            let _ = write!(
                text,
                "\n{} {}\n  model: {} {:?}\n  lab:   {} {:?} (curl: {})\n",
                one.case, one.url, one.model.served, one.model.hops, one.lab.served, one.lab.hops, one.curl
            );
            for unknown in &one.not_modelled {
                let _ = writeln!(text, "  {unknown}");
            }
        }
        text
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agree = self.compared.iter().filter(|one| one.agrees()).count();
        writeln!(
            formatter,
            "model and lab agree on {agree} of {} requests ({} cases)",
            self.compared.len(),
            self.cases
        )?;
        for line in &self.refused {
            writeln!(formatter, "refused by the API server: {line}")?;
        }
        Ok(())
    }
}

fn request(objects: &[Object], case: &Case, ask: &Ask) -> Request {
    let app = if ask.bare { "bare" } else { "source" };
    let pod = objects
        .iter()
        .find(|object| {
            object.text("/kind") == "Pod"
                && object.namespace() == Some(&case.place.namespace)
                && object.label("app") == Some(app)
        })
        .unwrap();
    let labels = pod.at("/metadata/labels").as_object().unwrap();
    let labels: BTreeMap<String, String> = labels
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
        .collect();
    let source = SourcePod {
        namespace: case.place.namespace.clone(),
        name: pod.name().to_owned(),
        labels,
        meshed: !ask.bare,
    };
    ask.request(source, &|host| {
        let addresses = kubectl_egress_lab::addresses_of(host);
        addresses.first().copied().map(IpAddr::from)
    })
}

pub(super) fn of_model(prediction: &Prediction) -> Said {
    Said {
        served: match prediction.outcome {
            Outcome::Routed => "by the gateway",
            Outcome::Bypassed | Outcome::Direct => "directly",
            _ => "not",
        },
        hops: prediction.hops.iter().map(predicted).collect(),
        chained: true,
    }
}

fn predicted(hop: &PredictedHop) -> String {
    let flags = hop.flags.as_deref().unwrap_or_default().split(',').collect();
    let code = match hop.carries {
        Carries::Stream => None,
        Carries::Http => hop.response_code,
    };
    words(&hop.cluster, flags, code)
}

/// Whether the host served a request, and whose connection did.
pub(super) fn served(reality: &Reality<'_>, observed: &Observed) -> &'static str {
    let served = observed.exit == 0 && observed.code == 200;
    let by_gateway = observed.peers.iter().any(|peer| reality.is_gateway(*peer));
    match (served, by_gateway) {
        (true, true) => "by the gateway",
        (true, false) => "directly",
        (false, _) => "not",
    }
}

fn of_lab(reality: &Reality<'_>, observed: &Observed) -> Said {
    Said {
        served: served(reality, observed),
        hops: observed.lines.iter().map(line).collect(),
        chained: observed
            .lines
            .last()
            .is_none_or(|last| last.upstream_host.is_none() || last.upstream_local_address.is_some()),
    }
}

fn line(line: &AccessLogLine) -> String {
    let cluster = line
        .upstream_cluster
        .as_ref()
        .map_or_else(|| "-".to_owned(), ToString::to_string);
    // An answer that came from further on is no proxy's own.
    let own = line.response_code_details.as_deref() != Some("via_upstream");
    let code = (line.response_code != 0 && own).then_some(line.response_code);
    words(
        &cluster,
        line.response_flags.iter().map(String::as_str).collect(),
        code,
    )
}

fn words(cluster: &str, mut flags: Vec<&str>, code: Option<u16>) -> String {
    flags.retain(|flag| !flag.is_empty());
    flags.sort_unstable();
    let code = code.map_or_else(String::new, |code| format!(" {code}"));
    let flags = if flags.is_empty() {
        "-".to_owned()
    } else {
        flags.join(",")
    };
    format!("{cluster} {flags}{code}")
}

/// Labels of the sources' pods.
pub(super) fn source_labels(bare: bool) -> BTreeMap<String, String> {
    let app = if bare { "bare" } else { "source" };
    BTreeMap::from([("app".to_owned(), app.to_owned())])
}
