//! An address range, `203.0.113.0/24` or `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};

/// A range of addresses of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// The range that holds one address.
    pub(super) fn single(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 128 };
        Self { address, length }
    }

    /// The address in front of its length, as it was written.
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// Whether the address lies in it. An address of the other family never does.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
                (network.to_bits() ^ address.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// Whether it is a range of IPv4 addresses.
    pub(super) fn is_ipv4(&self) -> bool {
        self.address.is_ipv4()
    }
}

impl FromStr for Network {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, length) = text
            .split_once('/')
            .with_context(|| format!("{text:?} is no CIDR"))?;
        let address: IpAddr = address.parse().with_context(|| format!("{text:?} is no CIDR"))?;
        let length = length.parse().with_context(|| format!("{text:?} is no CIDR"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        ensure!(length <= longest, "{text:?} is no CIDR");
        Ok(Self { address, length })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_network_holds_its_first_and_last_address_and_no_other() {
        assert!(holds("10.1.0.0/16", "10.1.0.0") && holds("10.1.0.0/16", "10.1.255.255"));
        assert!(!holds("10.1.0.0/16", "10.2.0.0") && !holds("10.1.0.0/16", "10.0.255.255"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::"));
    }

    #[test]
    fn the_widest_and_the_narrowest_network() {
        assert!(holds("0.0.0.0/0", "255.255.255.255") && holds("::/0", "ffff::1"));
        assert!(holds("10.1.2.3/32", "10.1.2.3") && !holds("10.1.2.3/32", "10.1.2.2"));
        assert!(holds("2001:db8::1/128", "2001:db8::1") && !holds("2001:db8::1/128", "2001:db8::"));
    }

    #[test]
    fn families_never_mix() {
        assert!(!holds("0.0.0.0/0", "::1") && !holds("::/0", "10.0.0.1"));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["10.0.0.0", "10.0.0.0/33", "::/129", "x/8", "10.0.0.0/-1", ""] {
            assert!(text.parse::<Network>().is_err(), "{text:?}");
        }
    }
}
