//! What is at an address outside: a host of the outside world, or the ingress gateway of the other embedded cluster.

use super::outside::{Admits, OutsideHost, Reachability};
use super::transfer::{Transfer, TransferRequest};
use crate::certificate::inspect_chain;
use crate::sandbox::ingress::{self, Arrival};
use crate::sandbox::state::Inner;
use std::sync::Arc;

/// Ports on which servers outside speak TLS (IANA: 443 https; 8443 by custom), as the mesh model has it.
const TLS_PORTS: [u16; 2] = [443, 8443];

/// How a connection to an address and port begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtAddress {
    Answers,
    Silent,
    Refuses,
}

/// What a server shows in TLS, and whom it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// Its chain (PEM).
    pub(super) chain: String,
    pub(super) admits: Admits,
}

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
}

/// Who is at an address.
enum Place {
    Outside(OutsideHost),
    /// The ingress gateway of the other cluster.
    Ingress(Arc<Inner>),
    Nobody,
}

/// The outside host of a name: exact before wildcard.
pub(super) fn outside<'hosts>(hosts: &'hosts [OutsideHost], name: &str) -> Option<&'hosts OutsideHost> {
    let exact = hosts.iter().find(|host| host.name == name);
    exact.or_else(|| hosts.iter().find(|host| host.is(name)))
}

/// The address of a name outside. What the other cluster's ingress gateway serves leads there.
pub(super) fn address_of(inner: &Inner, name: &str) -> Option<String> {
    let target = inner.target();
    let there = target.and_then(|target| ingress::address_serving(&target, name));
    there.or_else(|| outside(&inner.settings.outside, name).map(|host| host.address.clone()))
}

impl Transfer<'_> {
    fn place(&self, address: &str) -> Place {
        if let Some(target) = self.inner.target()
            && ingress::address(&target).as_deref() == Some(address)
        {
            return Place::Ingress(target);
        }
        let hosts = &self.inner.settings.outside;
        let named = outside(hosts, &self.request.host).filter(|host| host.address == address);
        let found = named.or_else(|| hosts.iter().find(|host| host.address == address));
        found.map_or(Place::Nobody, |host| Place::Outside(host.clone()))
    }

    /// How a connection to an address and port begins, for a request that names a host.
    pub(super) fn at(&self, address: &str, port: u16) -> AtAddress {
        match self.place(address) {
            Place::Outside(host) if host.reachability == Reachability::Answers => {
                if host.ports.contains(&port) {
                    AtAddress::Answers
                } else {
                    AtAddress::Refuses
                }
            }
            Place::Outside(host) if host.reachability == Reachability::Refuses => AtAddress::Refuses,
            Place::Ingress(target) if ingress::listens(&target, port) => AtAddress::Answers,
            Place::Ingress(_) => AtAddress::Refuses,
            Place::Outside(_) | Place::Nobody => AtAddress::Silent,
        }
    }

    /// What speaks TLS there; `None`: nothing does.
    pub(super) fn tls_at(&self, address: &str, port: u16) -> Option<Server> {
        match self.place(address) {
            Place::Outside(host) if TLS_PORTS.contains(&port) => Some(Server {
                chain: self.inner.public.chain(&host.certificate),
                admits: host.admits,
            }),
            Place::Ingress(target) => {
                let server = ingress::server(&target, port, &self.request.host)?;
                Some(Server {
                    chain: server.chain,
                    admits: server.clients.map_or(Admits::Everybody, Admits::ClientsOf),
                })
            }
            Place::Outside(_) | Place::Nobody => None,
        }
    }

    /// Delivers the request, with the headers that proxies added and the client certificate that was shown.
    pub(super) fn deliver(
        &mut self,
        address: &str,
        port: u16,
        peer: &str,
        added: &[(String, String)],
        client: Option<&str>,
    ) -> Answer {
        if let Place::Ingress(target) = self.place(address) {
            let shown = client.and_then(|chain| inspect_chain(chain.as_bytes()).ok());
            let arrival = Arrival {
                host: &self.request.host,
                port,
                method: &self.request.method,
                path: &self.request.path,
                user_agent: &self.request.user_agent,
                peer,
                client: shown.as_ref().and_then(|chain| chain.first()),
            };
            let (status, body) = ingress::serve(&target, &arrival);
            return Answer { status, body };
        }
        Answer {
            status: 200,
            body: echo(self.request, added),
        }
    }
}

/// What a host of the outside world answers: what it saw.
fn echo(request: &TransferRequest, added: &[(String, String)]) -> Vec<u8> {
    if request.method == "HEAD" {
        return Vec::new();
    }
    let url = format!("{}://{}{}", request.scheme, request.host, request.path);
    ingress::document(&request.host, &request.user_agent, &request.method, &url, added)
}
