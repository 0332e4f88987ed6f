//! What the other end of two-cluster mTLS needs to be allowed to do, in its cluster.

use super::setup::removal;
use super::{Need, TargetWants, kinds_of};
use crate::plan::permissions::{self, Scope};
use crate::plan::secrets::SERVER_CREDENTIAL;
use crate::plan::target_workload::Exposure;
use crate::vocabulary::{Circumstance, ClusterCommand, PlanIdentity};

/// Everything that `deploy-target` needs, and that `cleanup` will need to take it back.
pub(super) fn needs<'need>(plan: &'need PlanIdentity, wants: TargetWants<'need>) -> Vec<Need> {
    let facts = [
        (Circumstance::Label, wants.label),
        (Circumstance::Kyma, wants.exposure == Exposure::ApiRule),
    ];
    let scope = Scope {
        command: ClusterCommand::DeployTarget,
        plan,
        namespace: &plan.namespace,
        gateway: wants.ingress,
        routing: kinds_of(wants.objects.iter().map(|manifest| &manifest.reference), plan),
        secrets: vec![SERVER_CREDENTIAL.to_owned()],
        circumstances: facts
            .into_iter()
            .filter(|fact| fact.1)
            .map(|fact| fact.0)
            .collect(),
    };
    let mut needs: Vec<Need> = permissions::of(&scope).into_iter().map(Need::of).collect();
    let removals: Vec<Need> = needs.iter().filter_map(removal).collect();
    needs.extend(removals);
    needs
}
