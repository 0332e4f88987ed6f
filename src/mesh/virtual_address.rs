//! ServiceEntries with addresses: a sidecar knows their streams by the address that the application connects to.

use super::names::covers;
use super::network_policy::Cidr;
use super::payload::Payload;
use super::records::{PortProtocol, ServiceRecord};
use super::sidecar::{Way, server_name_route};
use super::viewer::Viewer;
use super::world::World;
use std::net::IpAddr;

/// A ServiceEntry with addresses has listeners at these alone, unless it speaks HTTP.
pub(super) fn at_virtual_address<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    payload: &Payload,
    port: u16,
    address: Option<IpAddr>,
) -> Option<Way<'world>> {
    let is_stream = |service: &&ServiceRecord| service.protocol(port).is_some_and(PortProtocol::is_stream);
    let mut with_addresses = world.services.iter().filter(is_stream).filter(|service| {
        !viewer.addresses_of(world, service).is_empty() && viewer.sees_service(world, service)
    });
    let Some(address) = address else {
        let of_host = |service: &&ServiceRecord| match payload {
            Payload::Http { host } | Payload::ApplicationTls { server_name: host } => {
                covers(&service.host, host)
            }
            _ => false,
        };
        return with_addresses.find(of_host).map(|service| {
            Way::NotModelled(format!(
                "the address that the host resolves to, by which {} is recognised",
                service.title()
            ))
        });
    };
    let holds = |service: &&ServiceRecord| {
        let mut addresses = viewer.addresses_of(world, service).iter();
        addresses.any(|text| contains(text, address))
    };
    let service = with_addresses.find(holds)?;
    Some(of_service(world, viewer, service, payload, port))
}

fn contains(text: &str, address: IpAddr) -> bool {
    text.parse::<IpAddr>().is_ok_and(|own| own == address)
        || Cidr::parse(text).is_some_and(|network| network.contains(address))
}

/// A service's own listener, or filter chains: by its routes, else to itself.
fn of_service<'world>(
    world: &'world World<'world>,
    viewer: &Viewer<'world>,
    service: &'world ServiceRecord,
    payload: &Payload,
    port: u16,
) -> Way<'world> {
    match payload {
        Payload::ApplicationTls { server_name } => {
            match server_name_route(world, viewer, service, server_name, port) {
                (Some(way), _) => way,
                (None, true) => Way::Unknown { http: false },
                (None, false) => Way::Service(service),
            }
        }
        _ => Way::Service(service),
    }
}
