//! The objects of a cluster that a log may be of. A log is explained without a cluster as well, so nothing here fails or
//! takes long: what is not there in time is not named.

use crate::cli::Connection;
use crate::cluster::Cluster;
use crate::command::connection::{cluster as connect, settings};
use crate::error::Result;
use crate::evidence::explanation::LiveObjects;
use crate::istio::kinds;
use crate::report::Printer;
use crate::vocabulary::{Kind, Object};
use std::sync::Arc;
use std::time::Duration;

/// How long a cluster may take to tell its objects.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was read, and in which cluster.
pub(super) struct Live {
    pub(super) context: String,
    pub(super) objects: LiveObjects,
}

/// Reads the objects, if there is a cluster and it answers. Only who named one is told why there is none.
pub(super) async fn read(connection: &Connection, printer: &Printer) -> Option<Live> {
    let named = *connection != Connection::default();
    let found = tokio::time::timeout(PATIENCE, objects(connection, printer)).await;
    let why = match found {
        Ok(Ok(live)) => return Some(live),
        Ok(Err(error)) => error.message().to_owned(),
        Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
    };
    if named {
        printer.warning(&format!("the cluster's objects are not named: {why}"));
    }
    None
}

async fn objects(connection: &Connection, printer: &Printer) -> Result<Live> {
    // Nobody waits for this cluster, so its retries are nobody's affair.
    let cluster = if connection.sandbox {
        connect(connection, printer).await?
    } else {
        Cluster::connect(&settings(connection), Arc::new(|_| {})).await?
    };
    let services = kinds::service();
    let (services, service_entries, virtual_services, destination_rules, gateways, pods) = tokio::join!(
        cluster.list(&services, None, None),
        list(&cluster, kinds::service_entry()),
        list(&cluster, kinds::virtual_service()),
        list(&cluster, kinds::destination_rule()),
        list(&cluster, kinds::gateway()),
        list(&cluster, kinds::pod()),
    );
    let anything = [
        &service_entries,
        &virtual_services,
        &destination_rules,
        &gateways,
        &pods,
    ];
    let services = match services {
        // Who may read nothing at all is told why.
        Err(error) if anything.iter().all(|kind| kind.is_none()) => return Err(error),
        services => services.ok(),
    };
    Ok(Live {
        context: cluster.context().to_owned(),
        objects: LiveObjects {
            service_entries,
            virtual_services,
            destination_rules,
            gateways,
            services,
            pods,
        },
    })
}

/// `None` where it may not be read, or is not served: then nothing is said to be missing.
async fn list(cluster: &Cluster, kind: Kind) -> Option<Vec<Object>> {
    cluster.list_if_served(&kind, None, None).await.ok().flatten()
}
