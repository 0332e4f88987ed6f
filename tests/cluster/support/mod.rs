//! What every test needs: the lab, a namespace of its own, the tool as a process, kubectl, a dump of the cluster.

mod audit;
pub(crate) mod codes;
pub(crate) mod dump;
pub(crate) mod kubectl;
pub(crate) mod kyma;
pub(crate) mod manifests;
mod place;
pub(crate) mod probed;
mod process;
mod stage;
pub(crate) mod wire;

pub(crate) use place::{HIDDEN, HIDING, lab_required};
pub(crate) use process::{Run, Running, faketime};
pub(crate) use stage::Stage;

/// Opens a stage, or ends the test with a word if there is no lab.
macro_rules! open {
    ($how:ident) => {
        match $crate::support::Stage::$how() {
            Some(stage) => stage,
            None => return,
        }
    };
}
pub(crate) use open;
