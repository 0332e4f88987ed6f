//! Parts of a running cluster that a test freezes, slows down, kills or cuts off, and that are right again afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::build;
use crate::component::{Cluster, apiserver};
use crate::lab::Lab;
use crate::process::{Started, signal};
use crate::shell::{inside, output};
use crate::state::State;
use crate::wait::{Look, until};

/// A process of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What every client speaks to.
    ApiServer,
    /// Where the API server keeps everything.
    Etcd,
    /// What starts pods, and carries exec and logs.
    Kubelet,
}

impl Part {
    /// Its name among the components.
    fn name(self) -> &'static str {
        match self {
            Self::ApiServer => "kube-apiserver",
            Self::Etcd => "etcd",
            Self::Kubelet => "kubelet",
        }
    }
}

/// A part that keeps its connections and answers nothing, until this is dropped.
#[must_use]
pub struct Frozen(Started);

impl Drop for Frozen {
    fn drop(&mut self) {
        signal(self.0.pid, Signal::CONT);
    }
}

/// A part that works for a fifth of the time, until this is dropped.
#[must_use]
pub struct Slow {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It thaws what it froze before it ends.
            let _ = thread.join();
        }
    }
}

/// A node that no packet reaches or leaves but its own, until this is dropped.
#[must_use]
pub struct CutOff {
    node: String,
}

impl CutOff {
    /// Whoever asks the node's own ports from outside it, and whatever it forwards for its pods.
    const RULES: [&str; 2] = ["INPUT ! -i lo", "FORWARD"];

    fn change(&self, how: &str) -> Result<()> {
        for rule in Self::RULES {
            let words = format!("-w {how} {rule} -j DROP");
            output(inside(&self.node, "iptables").args(words.split(' ')))?;
        }
        Ok(())
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        // A lab that stays cut off is noticed by whoever uses it next.
        let _ = self.change("-D");
    }
}

impl Lab {
    /// Freezes a part.
    ///
    /// # Errors
    /// It does not run.
    pub fn freeze(&self, part: Part) -> Result<Frozen> {
        let process = self.process(part)?;
        signal(process.pid, Signal::STOP);
        Ok(Frozen(process))
    }

    /// Slows a part down: it stands still for 400 of every 500 milliseconds.
    ///
    /// # Errors
    /// It does not run.
    pub fn slow_down(&self, part: Part) -> Result<Slow> {
        let process = self.process(part)?;
        let ends = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                signal(process.pid, Signal::STOP);
                std::thread::sleep(Duration::from_millis(400));
                signal(process.pid, Signal::CONT);
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Ok(Slow {
            ends,
            thread: Some(thread),
        })
    }

    /// Cuts the node off from everything outside it, and its pods from each other.
    ///
    /// # Errors
    /// Its packet filter does not take the rules.
    pub fn cut_off(&self) -> Result<CutOff> {
        let cut = CutOff {
            node: self.layout().node_namespace(),
        };
        cut.change("-I")?;
        Ok(cut)
    }

    /// Kills the API server as `kill -9` does, starts it again, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart_api_server(&self) -> Result<()> {
        let process = self.process(Part::ApiServer)?;
        signal(process.pid, Signal::KILL);
        until("the API server is gone", Duration::from_secs(10), || {
            Ok(if process.is_alive() {
                Look::NotYet("it runs".into())
            } else {
                Look::Done(())
            })
        })?;
        let mut cluster = Cluster {
            layout: self.layout().clone(),
            binaries: build::all()?,
            state: State::load(self.layout()).context("the lab is gone")?,
        };
        cluster.state.processes.retain(|other| *other != process);
        apiserver::start(&mut cluster)?;
        apiserver::wait(&cluster)
    }

    fn process(&self, part: Part) -> Result<Started> {
        let state = State::load(self.layout()).context("the lab is gone")?;
        let mut named = state
            .processes
            .into_iter()
            .filter(|process| process.name == part.name());
        named
            .find(Started::is_alive)
            .with_context(|| format!("{} does not run", part.name()))
    }
}
