//! A range of IP addresses in CIDR form.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Addresses that begin with the same bits: `203.0.113.0/24`, `2001:db8::/32` (RFC 4632, RFC 4291).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AddressRange {
    address: IpAddr,
    bits: u8,
}

/// Why a text is not a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of addresses: give it as ADDRESS/BITS, for example 203.0.113.0/24")]
pub struct AddressRangeError(String);

impl AddressRange {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(of), IpAddr::V4(asked)) => {
                shifted(u128::from(of.to_bits()), 32 - self.bits)
                    == shifted(u128::from(asked.to_bits()), 32 - self.bits)
            }
            (IpAddr::V6(of), IpAddr::V6(asked)) => {
                shifted(of.to_bits(), 128 - self.bits) == shifted(asked.to_bits(), 128 - self.bits)
            }
            _ => false,
        }
    }
}

/// Without its last bits; all 128 of them may go.
fn shifted(bits: u128, by: u8) -> u128 {
    bits.checked_shr(u32::from(by)).unwrap_or_default()
}

impl FromStr for AddressRange {
    type Err = AddressRangeError;

    fn from_str(text: &str) -> Result<Self, AddressRangeError> {
        let refuse = || AddressRangeError(text.to_owned());
        let (address, bits) = text.trim().split_once('/').ok_or_else(refuse)?;
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let bits: u8 = bits.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if bits > most {
            return Err(refuse());
        }
        Ok(Self { address, bits })
    }
}

impl TryFrom<String> for AddressRange {
    type Error = AddressRangeError;

    fn try_from(text: String) -> Result<Self, AddressRangeError> {
        text.parse()
    }
}

impl From<AddressRange> for String {
    fn from(range: AddressRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_what_begins_like_it() {
        let holds = |range: &str, address: &str| {
            let range: AddressRange = range.parse().unwrap();
            range.contains(address.parse().unwrap())
        };
        assert!(holds("203.0.113.0/24", "203.0.113.255"));
        assert!(!holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7/32", "203.0.113.7"));
        assert!(holds("0.0.0.0/0", "198.18.0.1"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1"));
    }

    #[test]
    fn what_is_no_range_is_refused_by_name() {
        for text in ["203.0.113.1", "203.0.113.0/33", "*", "a/8", "203.0.113.0/-1"] {
            let error = text.parse::<AddressRange>().unwrap_err().to_string();
            assert!(
                error.contains(text) && error.contains("203.0.113.0/24"),
                "{error}"
            );
        }
    }
}
