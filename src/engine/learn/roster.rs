//! Every pod of the namespace, and whether its sidecar told: of a pod that nothing tells of nothing is known, which is
//! never "nothing leaves".

use super::inside::is_over;
use super::open::{Counted, MOST};
use super::scene::Scene;
use crate::evidence::{LogFormats, Needs};
use crate::vocabulary::{Object, names};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Pods of a workload of which nothing, or not everything, is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotKnown {
    /// The workload.
    pub workload: String,
    /// How many of its pods.
    pub pods: usize,
    /// Why.
    pub why: String,
}

#[derive(Debug, Default)]
struct Member {
    workload: String,
    /// Why its sidecar cannot tell.
    no_witness: Option<&'static str>,
    past_the_sidecar: Option<String>,
    /// How its log is laid out; none at all: it is off, as far as is known.
    formats: LogFormats,
    is_over: bool,
    is_ours: bool,
    reading: Reading,
    broken: Option<String>,
    lines: u64,
    before: Option<Counted>,
    after: After,
}

/// How far the reading of a log has come.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    NotBegun,
    Begun,
    /// To its end, or to a stream that is open.
    Done,
}

/// What a sidecar counted in the end.
#[derive(Debug, Default)]
enum After {
    /// Nobody asked: it is not ready.
    #[default]
    NotAsked,
    Unread,
    Read(Counted),
}

/// The pods by name.
#[derive(Debug, Default)]
pub(super) struct Roster(BTreeMap<String, Member>);

impl Roster {
    /// All pods that are there.
    pub(super) fn of(scene: &Scene) -> Self {
        let mut roster = Self::default();
        for pod in &scene.pods {
            roster.meet(scene, pod);
        }
        roster
    }

    /// Takes a pod in, or up to date.
    pub(super) fn meet(&mut self, scene: &Scene, pod: &Object) {
        let member = self.0.entry(pod.name().to_owned()).or_default();
        member.workload = scene.workload(pod);
        member.no_witness = Scene::without_witness(pod);
        member.past_the_sidecar = Scene::past_the_sidecar(pod);
        member.formats = scene.formats(pod);
        member.is_over = is_over(pod);
        member.is_ours = pod.label(names::ROLE_LABEL).is_some();
    }

    /// Whose lines a pod's are, and how they are read.
    pub(super) fn reader(&self, pod: &str) -> Option<(&str, &LogFormats)> {
        let member = self.0.get(pod)?;
        Some((&member.workload, &member.formats))
    }

    pub(super) fn begin(&mut self, pod: &str) {
        self.change(pod, |member| member.reading = Reading::Begun);
    }

    pub(super) fn done(&mut self, pod: &str) {
        self.change(pod, |member| member.reading = Reading::Done);
    }

    pub(super) fn broken(&mut self, pod: &str, why: &str) {
        self.change(pod, |member| member.broken = Some(why.to_owned()));
    }

    /// Counts a line, if it is one of an access log.
    pub(super) fn line(&mut self, pod: &str, is_access_log: bool) {
        self.change(pod, |member| member.lines += u64::from(is_access_log));
    }

    pub(super) fn count_before(&mut self, pod: &str, counted: Option<Counted>) {
        self.change(pod, |member| member.before = counted);
    }

    pub(super) fn count_after(&mut self, pod: &str, counted: Option<Counted>) {
        self.change(pod, |member| {
            member.after = counted.map_or(After::Unread, After::Read);
        });
    }

    fn change(&mut self, pod: &str, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.0.get_mut(pod) {
            change(member);
        }
    }

    /// Sidecars whose log was read or followed.
    pub(super) fn heard(&self) -> usize {
        let heard = self
            .0
            .values()
            .filter(|member| member.reading == Reading::Done && !member.is_mute());
        heard.count()
    }

    /// What each sidecar that was read counts, with its workload.
    pub(super) fn counted(&self) -> impl Iterator<Item = (&str, &Counted)> {
        self.0.values().filter_map(|member| match &member.after {
            After::Read(counted) => Some((member.workload.as_str(), counted)),
            After::NotAsked | After::Unread => None,
        })
    }

    /// Workloads of ours.
    pub(super) fn own(&self) -> BTreeSet<String> {
        let own = self.0.values().filter(|member| member.is_ours);
        own.map(|member| member.workload.clone()).collect()
    }

    /// Pods of which nothing, or not everything, is known, by workload and reason.
    pub(super) fn not_known(&self) -> Vec<NotKnown> {
        let mut found: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for member in self.0.values() {
            for why in member.gaps() {
                *found.entry((&member.workload, why)).or_default() += 1;
            }
        }
        let told = found.into_iter().map(|((workload, why), pods)| NotKnown {
            workload: workload.to_owned(),
            pods,
            why,
        });
        told.collect()
    }
}

impl Member {
    /// Whether its log is off, as far as is known and as its silence says.
    fn is_mute(&self) -> bool {
        self.formats.is_empty() && self.lines == 0
    }

    fn gaps(&self) -> Vec<String> {
        // A pod that has ended and was never meshed, or whose window is over, sends nothing any more.
        if self.is_over && (self.no_witness.is_some() || self.reading == Reading::NotBegun) {
            return Vec::new();
        }
        if let Some(why) = self.no_witness {
            return vec![why.to_owned()];
        }
        let mut gaps: Vec<String> = self.past_the_sidecar.clone().into_iter().collect();
        if let Some(why) = &self.broken {
            gaps.push(why.clone());
        } else if self.reading != Reading::Done {
            gaps.push("its log was not read".to_owned());
        } else if self.is_mute() {
            gaps.push("its access log is off".to_owned());
        } else if let Some(lacks) = self.lacks() {
            gaps.push(format!("its access log does not tell {lacks}"));
        } else if let Some(unseen) = self.unlogged() {
            gaps.push(format!(
                "its sidecar counted {unseen} connections that its access log does not show: a filter, or a format that cannot be read"
            ));
        }
        if matches!(self.after, After::Unread) && !self.is_over {
            gaps.push(format!(
                "its open connections could not be read (at most {MOST} sidecars are)"
            ));
        }
        gaps
    }

    /// Fields without which a line does not tell where a connection went.
    fn lacks(&self) -> Option<String> {
        let needs = Needs {
            source: false,
            http: false,
        };
        let mut lacks = self.formats.lacks(needs);
        lacks.retain(|field| *field != "DOWNSTREAM_REMOTE_ADDRESS");
        (!lacks.is_empty()).then(|| lacks.join(", "))
    }

    /// Connections that were made and ended while the log was followed, of which it does not say a word.
    fn unlogged(&self) -> Option<u64> {
        let (Some(before), After::Read(after)) = (&self.before, &self.after) else {
            return None;
        };
        let open: u64 = after.open.values().sum();
        let ended = after.total.checked_sub(before.total)?.checked_sub(open)?;
        (self.lines == 0 && ended > 0).then_some(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::istio::access_log::LogTemplate;

    fn member() -> Member {
        Member {
            reading: Reading::Done,
            formats: LogFormats::new(&[LogTemplate::Default]),
            ..Member::default()
        }
    }

    #[test]
    fn silence_is_told_from_not_knowing() {
        assert_eq!(member().gaps(), Vec::<String>::new());
        let cases = [
            (
                Member {
                    no_witness: Some("it has no sidecar"),
                    ..Member::default()
                },
                "no sidecar",
            ),
            (
                Member {
                    formats: LogFormats::default(),
                    ..member()
                },
                "log is off",
            ),
            (
                Member {
                    reading: Reading::Begun,
                    ..member()
                },
                "not read",
            ),
            // Whoever has not read a log does not know that it is off.
            (
                Member {
                    formats: LogFormats::default(),
                    ..Member::default()
                },
                "not read",
            ),
            (
                Member {
                    broken: Some("forbidden".to_owned()),
                    ..member()
                },
                "forbidden",
            ),
            (
                Member {
                    past_the_sidecar: Some("past".to_owned()),
                    ..member()
                },
                "past",
            ),
            (
                Member {
                    after: After::Unread,
                    ..member()
                },
                "open connections",
            ),
        ];
        for (member, says) in cases {
            let gaps = member.gaps();
            assert!(gaps.len() == 1 && gaps[0].contains(says), "{says}: {gaps:?}");
        }
        let short = LogTemplate::Text("%UPSTREAM_HOST% %REQUESTED_SERVER_NAME% %RESPONSE_FLAGS%".to_owned());
        let short = Member {
            formats: LogFormats::new(&[short]),
            lines: 1,
            ..member()
        };
        assert_eq!(short.gaps(), ["its access log does not tell UPSTREAM_CLUSTER"]);
        // Something switches it on in a way that is not read.
        assert_eq!(
            Member {
                formats: LogFormats::default(),
                lines: 1,
                ..member()
            }
            .gaps(),
            Vec::<String>::new()
        );
        let ended = Member {
            is_over: true,
            no_witness: Some("it has no sidecar"),
            ..Member::default()
        };
        assert_eq!(ended.gaps(), Vec::<String>::new());
    }

    #[test]
    fn counters_contradict_a_silent_log() {
        let counted = |total: u64, open: u64| Counted {
            total,
            open: BTreeMap::from([(("PassthroughCluster".to_owned(), None), open)]),
        };
        let grown = Member {
            before: Some(counted(4, 0)),
            after: After::Read(counted(7, 1)),
            ..member()
        };
        assert!(
            grown.gaps()[0].contains("counted 2 connections"),
            "{:?}",
            grown.gaps()
        );
        assert_eq!(Member { lines: 1, ..grown }.gaps(), Vec::<String>::new());
        // What is open has no line yet.
        let open = Member {
            before: Some(counted(4, 0)),
            after: After::Read(counted(5, 1)),
            ..member()
        };
        assert_eq!(open.gaps(), Vec::<String>::new());
    }
}
