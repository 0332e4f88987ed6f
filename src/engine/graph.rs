//! Runs steps as a graph: each as soon as what it needs is done, side by side.

use super::event::{Event, Events};
use crate::error::{Error, Result};
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// What a finished step says: a detail worth a word, or why there was nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// Done.
    Done(Option<String>),
    /// Not needed; why.
    Skipped(String),
}

/// One step: a value, so that adding a step adds no branch.
pub struct Step<'run> {
    /// Its name; others need it by this.
    pub id: &'static str,
    /// What it does, as a short phrase.
    pub title: String,
    /// Names of the steps that must be done before. A name that is not in the run counts as done.
    pub needs: &'static [&'static str],
    /// What it does.
    pub action: BoxFuture<'run, Result<StepEnd>>,
}

/// Runs all steps. After a failure nothing new is started, and what only waits is dropped.
///
/// # Errors
/// The first failure. A cycle is a bug of ours.
pub async fn run(steps: Vec<Step<'_>>, events: &Events) -> Result<()> {
    let known: BTreeSet<&str> = steps.iter().map(|step| step.id).collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    let mut waiting = steps;
    let mut running = FuturesUnordered::new();
    loop {
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|step| {
            step.needs
                .iter()
                .all(|need| done.contains(need) || !known.contains(need))
        });
        waiting = rest;
        for step in ready {
            events(Event::StepStarted {
                id: step.id.to_owned(),
                title: step.title.clone(),
            });
            let started = Instant::now();
            running.push(async move { (step.id, step.title, started, step.action.await) });
        }
        let Some((id, title, started, result)) = running.next().await else {
            break;
        };
        let (elapsed, id_text) = (started.elapsed(), id.to_owned());
        match result {
            Ok(StepEnd::Done(detail)) => events(Event::StepFinished {
                id: id_text,
                detail,
                elapsed,
            }),
            Ok(StepEnd::Skipped(reason)) => events(Event::StepSkipped {
                id: id_text,
                title,
                reason,
            }),
            Err(error) => {
                events(Event::StepFailed {
                    id: id_text,
                    message: error.to_string(),
                    elapsed,
                });
                return Err(error);
            }
        }
        done.insert(id);
    }
    if waiting.is_empty() {
        Ok(())
    } else {
        let names: Vec<_> = waiting.iter().map(|step| step.id).collect();
        Err(Error::bug(format!(
            "steps wait for each other: {}",
            names.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn recorder() -> (Events, Arc<Mutex<Vec<String>>>) {
        let log = Arc::new(Mutex::new(Vec::new()));
        let sink = log.clone();
        let events: Events = Arc::new(move |event| {
            let line = match event {
                Event::StepStarted { id, .. } => format!("start {id}"),
                Event::StepFinished { id, .. } => format!("end {id}"),
                Event::StepSkipped { id, .. } => format!("skip {id}"),
                Event::StepFailed { id, .. } => format!("fail {id}"),
                _ => return,
            };
            sink.lock().unwrap().push(line);
        });
        (events, log)
    }

    fn step<'run>(id: &'static str, needs: &'static [&'static str], result: Result<StepEnd>) -> Step<'run> {
        let action = Box::pin(async move {
            tokio::task::yield_now().await;
            result
        });
        Step {
            id,
            title: id.to_owned(),
            needs,
            action,
        }
    }

    #[tokio::test]
    async fn independent_steps_run_side_by_side_and_needs_are_kept() {
        let (events, log) = recorder();
        let steps = vec![
            step("c", &["a", "b"], Ok(StepEnd::Done(None))),
            step("a", &[], Ok(StepEnd::Done(None))),
            step(
                "b",
                &["not-in-this-run"],
                Ok(StepEnd::Skipped("nothing to do".to_owned())),
            ),
        ];
        run(steps, &events).await.unwrap();
        let log = log.lock().unwrap().clone();
        assert_eq!(log[..2], ["start a", "start b"]);
        assert_eq!(log[4..], ["start c", "end c"]);
    }

    #[tokio::test]
    async fn after_a_failure_nothing_new_starts() {
        let (events, log) = recorder();
        let steps = vec![
            step("a", &[], Err(Error::cluster("no"))),
            step("b", &["a"], Ok(StepEnd::Done(None))),
        ];
        assert!(run(steps, &events).await.is_err());
        assert_eq!(*log.lock().unwrap(), ["start a", "fail a"]);
    }

    #[tokio::test]
    async fn a_cycle_is_called_a_bug() {
        let (events, _) = recorder();
        let steps = vec![
            step("a", &["b"], Ok(StepEnd::Done(None))),
            step("b", &["a"], Ok(StepEnd::Done(None))),
        ];
        assert!(
            run(steps, &events)
                .await
                .unwrap_err()
                .to_string()
                .contains("wait for each other")
        );
    }
}
