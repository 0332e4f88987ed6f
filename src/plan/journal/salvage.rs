//! Reading a journal in order to undo it: what is honest in it is used, the rest is refused by name.

use super::allowed::shown;
use super::{Entry, Journal, LockRecord, TargetRecord, VERSION};
use crate::error::{Error, Result};
use crate::plan::field_owner::owners_of;
use crate::plan::{Plan, PlanSettings, gateway_workload, ownership};
use crate::vocabulary::{Object, PlanIdentity, names};
use serde_json::Value;
use std::fmt::Write as _;

/// What can be used of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Salvaged {
    /// Its honest part; the plan's hosts are not among it, as nothing is undone by them.
    pub journal: Journal,
    /// What is refused, a clause each.
    pub refused: Vec<String>,
}

/// Most refusals that are told one by one.
const TOLD: usize = 20;

impl Journal {
    /// Reads the `ConfigMap` for undoing: entries that may not be are left out and named, and so is a journal that cannot
    /// be read at all.
    ///
    /// # Errors
    /// If a newer version of this program may have written it: nothing can be said of what it means.
    pub fn salvage(object: &Object, plan: &PlanIdentity) -> Result<Salvaged> {
        let mut salvaged = Salvaged {
            journal: Self::without_entries(plan),
            refused: Vec::new(),
        };
        if ownership::plan_of(object).as_ref() != Some(plan) {
            salvaged
                .refused
                .push("it carries no label or field of this program for this plan".to_owned());
            return Ok(salvaged);
        }
        let said: Value = match serde_json::from_str(object.text("/data/journal")) {
            Ok(said) => said,
            Err(error) => {
                salvaged.refused.push(format!("it is no JSON: {error}"));
                return Ok(salvaged);
            }
        };
        if let Some(newer) = said["version"]
            .as_u64()
            .filter(|version| *version > VERSION.into())
        {
            return Err(newer_version(plan, newer));
        }
        salvaged.take(&said, plan);
        if !salvaged.refused.is_empty() {
            salvaged.name_writers(object);
        }
        Ok(salvaged)
    }

    /// A journal in which nothing is said yet, for what is found without one.
    pub fn without_entries(plan: &PlanIdentity) -> Self {
        Self::new(
            Plan::without_hosts(plan.clone(), PlanSettings::default()),
            gateway_workload::target(names::ISTIO_NAMESPACE),
            names::SOURCE_IMAGE.to_owned(),
        )
    }
}

impl Salvaged {
    fn take(&mut self, said: &Value, plan: &PlanIdentity) {
        if said["version"] != VERSION {
            let version = shown(&said["version"].to_string());
            return self.refuse(format!("it has version {version}, which never was"));
        }
        let of: Option<PlanIdentity> = serde_json::from_value(said["plan"]["identity"].clone()).ok();
        if of.as_ref() != Some(plan) {
            let other = shown(&said["plan"]["identity"].to_string());
            return self.refuse(format!("it says that it is of plan {other}"));
        }
        let Some(entries) = said["entries"].as_array() else {
            return self.refuse("it has no list of entries".to_owned());
        };
        for (index, entry) in entries.iter().enumerate() {
            let checked = serde_json::from_value::<Entry>(entry.clone())
                .map_err(|error| shown(&error.to_string()))
                .and_then(|entry| entry.check(plan).map(|()| entry));
            match checked {
                Ok(entry) => self.journal.entries.push(entry),
                Err(why) => self.refuse(format!("entry {}: {why}", index + 1)),
            }
        }
        for (index, lock) in said["locks"].as_array().into_iter().flatten().enumerate() {
            let checked = serde_json::from_value::<LockRecord>(lock.clone())
                .map_err(|error| shown(&error.to_string()))
                .and_then(|lock| lock.check().map(|()| lock));
            match checked {
                Ok(lock) => self.journal.locks.push(lock),
                Err(why) => self.refuse(format!("lock {}: {why}", index + 1)),
            }
        }
        if let Some(target) = said.get("target").filter(|target| !target.is_null()) {
            match serde_json::from_value::<TargetRecord>(target.clone()) {
                Ok(target) => self.journal.target = Some(target),
                Err(error) => self.refuse(format!("its target: {}", shown(&error.to_string()))),
            }
        }
    }

    /// Names one refusal; beyond a number that can be read only their number counts.
    fn refuse(&mut self, why: String) {
        if self.refused.len() < TOLD {
            self.refused.push(why);
        } else if self.refused.len() == TOLD {
            self.refused.push("and more of the kind".to_owned());
        }
    }

    /// Whoever wrote it last, as far as managedFields tells; that can be edited too, so it is only said.
    fn name_writers(&mut self, object: &Object) {
        let writers = owners_of(object, "/data/journal").into_iter();
        let others: Vec<String> = writers
            .map(|owner| owner.manager)
            .filter(|manager| manager != names::MANAGER)
            .map(|manager| format!("`{}`", shown(&manager)))
            .collect();
        if let Some(first) = self.refused.first_mut().filter(|_| !others.is_empty()) {
            let _ = write!(first, " (the journal was last written by {})", others.join(", "));
        }
    }
}

fn newer_version(plan: &PlanIdentity, version: u64) -> Error {
    let at = Journal::reference_of(plan);
    Error::usage(format!("the journal {at} cannot be used"))
        .because(format!(
            "it has version {version}, this program reads version {VERSION}; nothing was changed"
        ))
        .hint("clean up with the newer kubectl-egress that wrote it")
        .hint(format!(
            "if none did: kubectl delete configmap {} -n {}, then again; what is ours is then found by its labels",
            at.name, plan.namespace
        ))
}
