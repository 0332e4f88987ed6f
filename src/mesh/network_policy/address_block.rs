//! `ipBlock`: a range of addresses, without some.

use serde_json::Value;
use std::fmt;
use std::net::IpAddr;

/// A range in CIDR notation (RFC 4632, RFC 4291).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    pub(in crate::mesh) fn parse(text: &str) -> Option<Self> {
        let (network, prefix) = text.split_once('/')?;
        let network: IpAddr = network.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        (prefix <= width(network)).then_some(Self { network, prefix })
    }

    /// Families never mix: an IPv4 range holds no IPv6 address.
    pub(in crate::mesh) fn contains(self, address: IpAddr) -> bool {
        if self.network.is_ipv4() != address.is_ipv4() {
            return false;
        }
        let ignored = u32::from(width(address) - self.prefix);
        let significant = |address| bits(address).checked_shr(ignored).unwrap_or(0);
        significant(self.network) == significant(address)
    }

    fn contains_all_of(self, other: Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.network)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix)
    }
}

/// A range and what is left out of it.
#[derive(Debug, Clone)]
pub(super) struct AddressBlock {
    range: Cidr,
    except: Vec<Cidr>,
}

impl AddressBlock {
    /// `None` if the range is none: the API server admits no such block.
    pub(super) fn read(block: &Value) -> Option<Self> {
        let except = block["except"].as_array().into_iter().flatten();
        Some(Self {
            range: Cidr::parse(block["cidr"].as_str()?)?,
            except: except.filter_map(|entry| Cidr::parse(entry.as_str()?)).collect(),
        })
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.range.contains(address) && !self.except.iter().any(|range| range.contains(address))
    }

    /// The address, if it holds exactly one.
    pub(super) fn only_address(&self) -> Option<IpAddr> {
        (self.range.prefix == width(self.range.network)).then_some(self.range.network)
    }

    /// Whether no packet can leave the pod by it: all is left out again, or it is the loopback range.
    pub(super) fn leads_nowhere(&self) -> bool {
        let loopback = match self.range.network {
            IpAddr::V4(address) => address.is_loopback() && self.range.prefix >= 8,
            IpAddr::V6(address) => address.is_loopback() && self.range.prefix == 128,
        };
        loopback || self.except.iter().any(|range| range.contains_all_of(self.range))
    }
}

impl fmt::Display for AddressBlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.range)?;
        for (position, range) in self.except.iter().enumerate() {
            let word = if position == 0 { " except " } else { ", " };
            write!(formatter, "{word}{range}")?;
        }
        Ok(())
    }
}
