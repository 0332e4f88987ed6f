//! The work of a section: what the commands do that it shows.

use super::section::{Section, Way, Work};
use super::{Connected, TIMEOUT, Teller, flags, interrupted, worse};
use crate::cli::{self, ChangeFlags, ProbeFlags};
use crate::command::{setup, source, two_clusters};
use crate::engine::lockdown::{self, Decision, LockdownEnd, LockdownSettings};
use crate::engine::prepare::{DryRun, Parts, SetupSettings};
use crate::engine::probe::ProbeSource;
use crate::engine::undo::{self, UndoSettings};
use crate::engine::verify::{self, Enforced, VerifySettings};
use crate::error::{Error, Result};
use crate::plan::lock::LockSettings;
use crate::plan::{PlannedHost, PortPlan};
use crate::report::{interruption, view};
use crate::vocabulary::{ExitCode, HostName, Verdict, names};
use std::ffi::OsString;

/// More than the ten seconds after which Envoy gives a connection up.
const MAX_TIME_SECONDS: u32 = 12;

impl Teller<'_> {
    /// Does the work of a section, until Ctrl-C.
    pub(super) async fn section(&self, section: &Section) -> Result<ExitCode> {
        let mut code = ExitCode::Success;
        for work in section.work {
            let now = match work {
                Work::Lock => self.lock().await?,
                Work::SetUp(way) => self.or_interrupted(self.set_up(*way)).await?,
                Work::TwoClusters(host) => self.or_interrupted(self.two_clusters(host)).await?,
                Work::Verify => self.or_interrupted(self.verify()).await?,
                Work::CleanUp => self.put_back().await?,
            };
            code = worse(code, now);
        }
        Ok(code)
    }

    async fn or_interrupted(&self, work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
        tokio::select! {
            done = work => done,
            () = interruption() => Err(interrupted()),
        }
    }

    async fn set_up(&self, way: Way) -> Result<ExitCode> {
        let plan = &self.connected.plan;
        let flags = flags();
        let change = ChangeFlags {
            dry_run: cli::DryRun::None,
            force_conflicts: false,
        };
        let host = way
            .host
            .parse()
            .map_err(|error| Error::bug(format!("{}: {error}", way.host)))?;
        let wanted = SetupSettings {
            hosts: vec![PlannedHost {
                host,
                how: PortPlan {
                    mesh_mtls: way.mesh_mtls,
                    ..PortPlan::new(way.port, way.mode)
                },
            }],
            create_istio_cr: false,
            create_namespace: true,
            ..setup::wanted(plan, Parts::ALL, &flags, change)
        };
        setup::run(&self.connected, wanted, false, self.printer).await?;
        Ok(ExitCode::Success)
    }

    /// The command of the section, as it is typed.
    async fn two_clusters(&self, host: &str) -> Result<ExitCode> {
        let Some(target) = &self.target else {
            return Err(Error::bug("a story of two clusters has one"));
        };
        let typed = [
            "kubectl-egress",
            "setup",
            host,
            "--target-context",
            &target.context,
            "--create-namespace",
        ];
        let parsed = cli::parse(typed.into_iter().map(OsString::from));
        let Ok(cli::Invocation {
            command: cli::Command::Setup(settings),
            ..
        }) = parsed
        else {
            return Err(Error::bug("the story's command cannot be read"));
        };
        let both = (&self.connected, &target.connected);
        let Some(shown) = two_clusters::between(&self.connection, both, *settings, self.printer).await?
        else {
            return Ok(ExitCode::Success);
        };
        self.printer.styled(&shown.text(self.printer.style()));
        Ok(shown.code())
    }

    async fn source(&self) -> Result<ProbeSource> {
        let flags = ProbeFlags {
            max_time: MAX_TIME_SECONDS,
            ..ProbeFlags::default()
        };
        source::find(
            &self.connected,
            &flags,
            names::SOURCE_IMAGE,
            TIMEOUT,
            self.printer,
        )
        .await
    }

    async fn verify(&self) -> Result<ExitCode> {
        let settings = VerifySettings {
            bypass: None,
            plan: self.connected.plan.clone(),
            namespace: self.connected.namespace.clone(),
            hosts: Vec::new(),
            forbidden: forbidden(),
            without_sidecar: true,
            source: self.source().await?,
            ca_certificate: None,
            echo: None,
            max_time_seconds: MAX_TIME_SECONDS,
            enforced: Enforced::IfLocked,
            timeout: TIMEOUT,
        };
        let events = self.printer.events();
        let verification = verify::verify(&self.connected.cluster, &settings, &events).await?;
        self.printer
            .styled(&view::verification(&verification, self.printer.style()));
        Ok(match verification.verdict {
            Verdict::Proven => ExitCode::Success,
            Verdict::Disproven => ExitCode::Disproven,
            Verdict::Inconclusive => ExitCode::Inconclusive,
        })
    }

    /// Locks the story's namespace, as `lockdown --yes` does; Ctrl-C rolls it back.
    async fn lock(&self) -> Result<ExitCode> {
        let wanted = LockdownSettings {
            plan: self.connected.plan.clone(),
            namespace: self.connected.namespace.clone(),
            lock: LockSettings::default(),
            confirm_within: TIMEOUT,
            effect_within: lockdown::EFFECT_WITHIN,
            forbidden: forbidden(),
            source: self.source().await?,
            ca_certificate: None,
            max_time_seconds: MAX_TIME_SECONDS,
            timeout: TIMEOUT,
        };
        let cluster = &self.connected.cluster;
        let document = match lockdown::prepare(cluster, wanted).await? {
            Decision::Unchanged(prepared) => prepared.document(),
            Decision::Lock(prepared) => {
                let interrupted = interruption();
                lockdown::run(cluster, &prepared, &self.printer.events(), interrupted).await?
            }
        };
        self.printer
            .styled(&view::lockdown(&document, self.printer.style()));
        Ok(if document.end == LockdownEnd::Locked {
            ExitCode::Success
        } else {
            ExitCode::Disproven
        })
    }

    /// Undoes all that the story did, and looks whether anything is left.
    pub(super) async fn put_back(&self) -> Result<ExitCode> {
        // Only who presses Ctrl-C once more ends this.
        let _answers = interruption();
        let here = self.put_back_in(&self.connected, "").await;
        let there = match &self.target {
            Some(target) => {
                self.put_back_in(&target.connected, " in the target cluster")
                    .await
            }
            None => Ok(ExitCode::Success),
        };
        Ok(worse(here?, there?))
    }

    async fn put_back_in(&self, connected: &Connected, place: &str) -> Result<ExitCode> {
        let (cluster, plan) = (&connected.cluster, &connected.plan);
        let how = UndoSettings {
            dry_run: DryRun::No,
            keep_namespace: false,
            timeout: TIMEOUT,
        };
        let kept = undo::whole_plan(cluster, plan, how, &self.printer.events()).await?;
        let left = undo::leftovers(cluster, plan).await?;
        for text in kept.sentences().iter().chain(&left) {
            self.printer.warning(text);
        }
        if left.is_empty() {
            self.printer.styled(&format!("Nothing of ours is left{place}.\n"));
            return Ok(ExitCode::Success);
        }
        Ok(ExitCode::Disproven)
    }
}

fn forbidden() -> Vec<HostName> {
    names::DEFAULT_FORBIDDEN_HOST.parse().into_iter().collect()
}
