//! The words of the design, as types: spelled out, validated once, imported by everybody, importing nobody.

mod address_range;
mod attempt;
mod change;
mod cluster_command;
mod exit_code;
mod host_name;
mod in_cluster;
mod label_selector;
mod mode;
pub mod names;
mod object;
mod object_reference;
mod outcome;
mod plan_identity;
mod pod_name;
mod probe;
mod protocol;
mod screen;

pub use address_range::{AddressRange, AddressRangeError};
pub use attempt::{ATTEMPTS, Attempt, AttemptFrom, AttemptOutcome, StoppedBy};
pub use change::Change;
pub use cluster_command::{Circumstance, ClusterCommand};
pub use exit_code::ExitCode;
pub use host_name::{HostName, HostNameError};
pub use in_cluster::{InCluster, InClusterError};
pub use label_selector::{LabelSelector, LabelSelectorError, Requirement};
pub use mode::{Mode, OutboundPolicy, Place};
pub use object::Object;
pub use object_reference::{Kind, ObjectReference};
pub use outcome::{
    BlockedBy, Claim, ClaimState, Encryption, Hop, HopEnd, Outcome, Receipt, Verdict, Witness,
};
pub use plan_identity::{PlanIdentity, PlanIdentityError};
pub use pod_name::PodName;
pub use probe::{HostPort, Scheme};
pub use protocol::Protocol;
pub use screen::{ColorChoice, OutputFormat, ProgressStyle};
