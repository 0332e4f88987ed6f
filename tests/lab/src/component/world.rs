//! The outside world's process: this very program, under its hidden command.

use std::time::Duration;

use anyhow::Result;

use super::{Cluster, own_program, text};
use crate::wait::Look;

/// The hidden command that plays the outside world.
pub(crate) const COMMAND: &str = "serve-world";

/// Starts it and waits until every port is open.
///
/// # Errors
/// It cannot be started, or ends.
pub(crate) fn start(cluster: &mut Cluster) -> Result<()> {
    let (folder, log) = (cluster.layout.world(), cluster.layout.world_log());
    let program = own_program(&cluster.layout)?;
    let namespace = cluster.layout.world_namespace();
    let arguments = vec![
        COMMAND.to_owned(),
        "--folder".into(),
        text(&folder),
        "--log".into(),
        text(log),
    ];
    cluster.start_in(&namespace, "outside-world", &program, arguments)?;
    cluster.wait("the outside world", Duration::from_secs(20), || {
        Ok(if folder.join("ready").is_file() {
            Look::Done(())
        } else {
            Look::NotYet("it is opening its ports".into())
        })
    })
}
