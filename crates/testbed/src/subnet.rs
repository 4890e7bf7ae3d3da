//! Which of the networks 10.97.0.0/24 to 10.97.255.0/24 a testbed gets, and the addresses in it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::Value;

/// The third number of 10.97.i.0/24.
pub type Subnet = u8;

/// The first one that nobody has.
pub fn first_free(taken: &BTreeSet<Subnet>) -> Option<Subnet> {
    (1..=254).find(|subnet| !taken.contains(subnet))
}

/// Those that this machine's interfaces are in, from what `ip -j -4 address` says.
pub fn in_use(addresses: &str) -> BTreeSet<Subnet> {
    let interfaces: Vec<Value> = serde_json::from_str(addresses).unwrap_or_default();
    interfaces
        .iter()
        .filter_map(|interface| interface.get("addr_info")?.as_array())
        .flatten()
        .filter_map(|address| address.get("local")?.as_str()?.parse::<Ipv4Addr>().ok())
        .filter_map(|address| match address.octets() {
            [10, 97, subnet, _] => Some(subnet),
            _ => None,
        })
        .collect()
}

/// The bridge's own address.
pub fn gateway(subnet: Subnet) -> Ipv4Addr {
    Ipv4Addr::new(10, 97, subnet, 1)
}

/// A host's address.
pub fn address(subnet: Subnet, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 97, subnet, number.saturating_add(10))
}

/// A host's hardware address, of those that anybody may use.
pub fn hardware_address(subnet: Subnet, number: u8) -> String {
    format!("02:74:62:00:{subnet:02x}:{number:02x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_neither_a_testbed_nor_an_interface_has() {
        let said = r#"[{"ifname":"lo","addr_info":[{"local":"127.0.0.1"}]},{"ifname":"x","addr_info":[{"local":"10.97.2.1"}]},{}]"#;
        let mut taken = in_use(said);
        assert_eq!(taken, [2].into());
        assert_eq!(first_free(&taken), Some(1));
        taken.insert(1);
        assert_eq!(first_free(&taken), Some(3));
        assert_eq!(first_free(&(0..=255).collect()), None);
        assert_eq!(in_use(""), BTreeSet::new());
    }

    #[test]
    fn addresses() {
        assert_eq!(address(3, 1).to_string(), "10.97.3.11");
        assert_eq!(hardware_address(10, 255), "02:74:62:00:0a:ff");
    }
}
