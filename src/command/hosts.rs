//! From hosts and modes as typed to hosts of a plan.

use crate::cli::{HostArgument, ModeFlags};
use crate::plan::{PlanSettings, PlannedHost, PortPlan, Resolution, SecretSource};
use crate::vocabulary::{Mode, Place};

/// HTTPS of the application.
const HTTPS: u16 = 443;

/// Hosts as typed, in the mode that is typed beside them.
///
/// A host whose plain HTTP becomes HTTPS on the way out, typed without a port, also gets its port 443 by the same way, as
/// the application's own HTTPS: else that would leave as if nothing had been set up.
pub(super) fn planned(hosts: &[HostArgument], flags: &ModeFlags) -> Vec<PlannedHost> {
    let mode = flags.mode.unwrap_or_default();
    let mut planned = Vec::new();
    for typed in hosts {
        let port = typed.port.unwrap_or(mode.default_port());
        planned.push(PlannedHost {
            host: typed.host.clone(),
            how: port_plan(port, mode, flags),
        });
        if typed.port.is_none() && mode.originates() {
            let own_tls = match flags.at {
                Some(Place::Sidecar) => Mode::Direct,
                Some(Place::Gateway) | None => Mode::Passthrough,
            };
            planned.push(PlannedHost::new(typed.host.clone(), HTTPS, own_tls));
        }
    }
    planned
}

fn port_plan(port: u16, mode: Mode, flags: &ModeFlags) -> PortPlan {
    let secret = |name: &Option<String>| name.clone().map(|secret| SecretSource { secret });
    PortPlan {
        at: flags.at.unwrap_or_default(),
        mesh_mtls: flags.mesh_mtls,
        target_port: flags.target_port,
        client_certificate: secret(&flags.client_secret),
        ca_certificate: secret(&flags.ca_secret),
        ca_file: flags.ca_file.clone(),
        keep_headers: flags.keep_headers,
        allow_from: flags.allow_from.clone(),
        server: flags.wildcard_server.clone(),
        resolution: flags.resolution.as_ref().map(|_| Resolution::Dynamic),
        sample: flags.sample.clone(),
        service: flags.service.as_ref().map(ToString::to_string),
        proxy: flags.proxy.clone(),
        tunnel: flags.tunnel,
        addresses: flags.addresses.clone(),
        ..PortPlan::new(port, mode)
    }
}

/// What the flags say of the plan as a whole, added to what was said before.
pub(super) fn settings(before: &PlanSettings, flags: &ModeFlags) -> PlanSettings {
    before.merged(PlanSettings {
        export_to: flags.export_to.clone(),
        outbound_policy: flags.outbound_policy,
        ..PlanSettings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(host: &str, port: Option<u16>) -> [HostArgument; 1] {
        [HostArgument {
            host: host.parse().unwrap(),
            port,
        }]
    }

    #[test]
    fn https_of_an_originated_host_goes_the_same_way_unless_a_port_is_typed() {
        let flags = |at| ModeFlags {
            mode: Some(Mode::TlsOrigination),
            at,
            ..ModeFlags::default()
        };
        let text = |port, at| -> Vec<String> {
            let hosts = planned(&typed("a.example", port), &flags(at));
            hosts.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            text(None, None),
            ["a.example:80 (tls-origination)", "a.example:443 (passthrough)"]
        );
        assert_eq!(text(Some(80), None), ["a.example:80 (tls-origination)"]);
        assert_eq!(
            text(None, Some(Place::Sidecar)),
            [
                "a.example:80 (tls-origination at the sidecar)",
                "a.example:443 (direct)"
            ]
        );
    }
}
