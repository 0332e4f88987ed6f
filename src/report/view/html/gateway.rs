//! Where the gateway runs, and the addresses that a firewall sees.

use super::state::badge;
use crate::engine::report_document::{GatewayPlace, NodePlace, ReportDocument};
use crate::report::style::Mark;
use maud::{Markup, html};

/// Nodes with their addresses, and the gateway's pods on them.
pub(super) fn section(document: &ReportDocument) -> Markup {
    let place = &document.gateway;
    html! {
        section id="gateway" aria-labelledby="gateway-title" {
            h2 id="gateway-title" { "Gateway, and what a firewall sees" }
            p {
                "What goes through the gateway " code { (place.service) }
                " leaves the cluster at the nodes below, with their addresses. A firewall beyond an address translation "
                "sees the translated address, which no object of the cluster names."
            }
            @if place.nodes.is_empty() {
                p { "The gateway has no pod on any node." }
            } @else {
                table {
                    caption { "Nodes of the gateway and their addresses" }
                    thead { tr {
                        th scope="col" { "Node" } th scope="col" { "Address in its network" }
                        th scope="col" { "Address outside" } th scope="col" { "Gateway pods" }
                    } }
                    tbody { @for node in &place.nodes { (row(node, place)) } }
                }
            }
        }
    }
}

fn row(node: &NodePlace, place: &GatewayPlace) -> Markup {
    let on_it = place.pods.iter().filter(|pod| pod.node == node.node);
    html! {
        tr {
            th scope="row" { (node.node) }
            td data-label="Address in its network" { (addresses(&node.internal_addresses)) }
            td data-label="Address outside" { (addresses(&node.external_addresses)) }
            td data-label="Gateway pods" {
                ul.plain { @for pod in on_it {
                    li {
                        code { (pod.pod) } " "
                        @if pod.ready { (badge(Mark::Good, "ready")) } @else { (badge(Mark::Bad, "not ready")) }
                        " " span.quiet { (pod.addresses.join(", ")) }
                    }
                } }
            }
        }
    }
}

fn addresses(all: &[String]) -> Markup {
    html! {
        @if all.is_empty() { span.quiet { "not known to the cluster" } }
        @for (index, address) in all.iter().enumerate() { @if index > 0 { ", " } code { (address) } }
    }
}
