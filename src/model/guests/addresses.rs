//! Which addresses a machine can have, and which of others it can reach. What passes the notation may still never
//! work: a router of another family, the network's own address, one that only means the machine itself.

use std::net::{IpAddr, Ipv6Addr};

const FORM: &str = "Give an address with its prefix length, like 192.168.1.44/24.";

/// A machine's own address with its prefix length.
///
/// # Errors
/// A sentence for the field.
pub fn own_address(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, length) = text.split_once('/').ok_or(FORM)?;
    let ip = plain(address, FORM)?;
    if !length.bytes().all(|b| b.is_ascii_digit()) || length.starts_with('0') {
        return Err(FORM.to_owned());
    }
    let (bits, usual) = (bits(ip), if ip.is_ipv4() { "24" } else { "64" });
    // Proxmox takes no shorter ones either.
    let prefix = length.parse().ok().filter(|n| (8..=bits).contains(n));
    let Some(prefix) = prefix else {
        return Err(format!("The prefix length is a number from 8 to {bits}, mostly {usual}."));
    };
    if let Some(why) = never(ip) {
        return Err(format!("A machine can't have {ip}: {why}. Give an address of its network."));
    }
    if is_link_local(ip) {
        return Err(format!("{ip} only works without a router. Give an address of the machine's network."));
    }
    if ip.is_ipv4() && prefix == 32 {
        return Err("With /32 the machine is alone in its network. Give the network's prefix length, mostly 24.".into());
    }
    match special(ip, prefix) {
        Some(what) => Err(format!("{ip} is the {what} address of its network. Give the machine's own address.")),
        None => Ok((ip, prefix)),
    }
}

/// The address of another machine: a router or a name server.
///
/// # Errors
/// A sentence for the field.
pub fn other_address(text: &str) -> Result<IpAddr, String> {
    let ip = plain(text, "Give an address like 192.168.1.1.")?;
    match never(ip) {
        Some(why) => Err(format!("{ip} can't be used here: {why}. Give the other machine's address.")),
        None => Ok(ip),
    }
}

/// Why a machine with this address (or `dhcp`, or none) can't use this router. What is not an address at all is told
/// elsewhere.
pub fn wrong_router(own: &str, router: &str) -> Option<String> {
    if router.is_empty() {
        return None;
    }
    if own.is_empty() || own == "dhcp" {
        return Some("Only a machine with an address of its own needs this. Leave it empty.".to_owned());
    }
    let ((ip, prefix), router) = (own_address(own).ok()?, other_address(router).ok()?);
    if ip.is_ipv4() != router.is_ipv4() {
        let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
        return Some(format!("The machine's address is {family}, so its router needs an {family} address as well."));
    }
    if ip == router {
        return Some("This is the machine's own address. Give the router's.".to_owned());
    }
    // An IPv6 router is often known by its address on the link only.
    if router.is_ipv6() && is_link_local(router) {
        return None;
    }
    let net = |ip| number(ip) & !host_mask(ip, prefix);
    if net(ip) != net(router) {
        return Some(format!("The router must be in the machine's network, {}/{prefix}.", address(ip, net(ip))));
    }
    let what = special(router, prefix).filter(|_| router.is_ipv4())?;
    Some(format!("{router} is the {what} address of the network. Give the router's own address."))
}

/// Written as it is meant: no scope, no brackets, no IPv4 address in disguise.
fn plain(text: &str, form: &str) -> Result<IpAddr, String> {
    if let Some((address, scope)) = text.split_once('%') {
        return Err(format!("Leave %{scope} out: {address} is the address."));
    }
    let ip: IpAddr = text.parse().map_err(|_| form.to_owned())?;
    match ip {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => Err(format!("Write {v4} instead.")),
            None => Ok(ip),
        },
        IpAddr::V4(_) => Ok(ip),
    }
}

/// Why no other machine is reached by it.
fn never(ip: IpAddr) -> Option<&'static str> {
    let first = if let IpAddr::V4(v4) = ip { v4.octets()[0] } else { 1 };
    match ip {
        _ if ip.is_loopback() => Some("it always means the machine itself"),
        _ if ip.is_multicast() => Some("it stands for a group of machines (multicast)"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("it stands for all machines (broadcast)"),
        _ if ip.is_unspecified() || first == 0 => Some("it stands for no machine"),
        _ if first >= 240 => Some("it is reserved"),
        _ => None,
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The first and the last address of a network have a meaning of their own; IPv6 has no broadcast, and networks of two
/// (RFC 3021, RFC 6164) have neither.
fn special(ip: IpAddr, prefix: u8) -> Option<&'static str> {
    let (mask, host) = (host_mask(ip, prefix), number(ip) & host_mask(ip, prefix));
    match host {
        _ if mask <= 1 => None,
        0 => Some("network"),
        _ if host == mask && ip.is_ipv4() => Some("broadcast"),
        _ => None,
    }
}

fn bits(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The bits that are the machine's own; the prefix has one bit at least.
fn host_mask(ip: IpAddr, prefix: u8) -> u128 {
    (1 << (bits(ip) - prefix)) - 1
}

/// The address with this number, in the family of `like`.
fn address(like: IpAddr, number: u128) -> IpAddr {
    match u32::try_from(number) {
        Ok(n) if like.is_ipv4() => IpAddr::V4(n.into()),
        _ => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_machine_gets_only_an_address_that_works() {
        for good in ["192.168.1.44/24", "10.0.0.1/8", "192.0.2.0/31", "192.0.2.1/31", "2001:db8::44/64", "fd00::1/128"]
        {
            assert!(own_address(good).is_ok(), "{good}: {:?}", own_address(good));
        }
        let refused = [
            ("192.168.1.44", "prefix length"),
            ("192.168.1.44/+24", "with its prefix length"),
            ("192.168.1.44/024", "with its prefix length"),
            ("192.168.1.44/", "8 to 32"),
            ("192.168.1.44/33", "8 to 32"),
            ("192.168.1.44/0", "prefix length"),
            ("192.168.1.44/7", "8 to 32"),
            ("fd00::1/129", "8 to 128"),
            ("192.168.1.44/32", "alone"),
            ("192.168.1.0/24", "network address"),
            ("192.168.1.255/24", "broadcast address"),
            ("fd00::/64", "network address"),
            ("127.0.0.1/8", "itself"),
            ("::1/128", "itself"),
            ("224.0.0.5/24", "multicast"),
            ("ff02::1/64", "multicast"),
            ("0.0.0.0/24", "no machine"),
            ("::/64", "no machine"),
            ("255.255.255.255/24", "broadcast"),
            ("240.0.0.1/24", "reserved"),
            ("169.254.3.4/16", "without a router"),
            ("fe80::4/64", "without a router"),
            ("fe80::4%eth0/64", "Leave %eth0 out"),
            ("::ffff:192.168.1.44/120", "Write 192.168.1.44"),
            ("192.168.001.044/24", "Give an address"),
        ];
        for (text, why) in refused {
            let told = own_address(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn a_router_is_another_machine_in_the_same_network() {
        let good = [
            ("192.168.1.44/24", "192.168.1.1"),
            ("192.168.1.44/24", ""),
            ("dhcp", ""),
            ("", ""),
            ("192.0.2.0/31", "192.0.2.1"),
            ("fd00::44/64", "fd00::1"),
            ("fd00::44/64", "fd00::"),
            ("fd00::44/128", "fe80::1"),
        ];
        for (own, router) in good {
            assert_eq!(wrong_router(own, router), None, "{own} by {router}");
        }
        let refused = [
            ("192.168.1.44/24", "fd00::1", "IPv4 address as well"),
            ("fd00::44/64", "192.168.1.1", "IPv6 address as well"),
            ("192.168.1.44/24", "192.168.1.44", "own address"),
            ("192.168.1.44/24", "192.168.2.1", "192.168.1.0/24"),
            ("fd00::44/64", "fd00:1::1", "fd00::/64"),
            ("fd00::44/128", "fd00::1", "fd00::44/128"),
            ("192.168.1.44/24", "192.168.1.0", "network address"),
            ("192.168.1.44/24", "192.168.1.255", "broadcast address"),
            ("dhcp", "192.168.1.1", "Leave it empty"),
            ("", "192.168.1.1", "Leave it empty"),
        ];
        for (own, router, why) in refused {
            let told = wrong_router(own, router).unwrap_or_default();
            assert!(told.contains(why), "{own} by {router}: {told}");
        }
    }

    #[test]
    fn a_name_server_is_another_machine() {
        assert!(["9.9.9.9", "fd00::1", "fe80::1"].into_iter().all(|ip| other_address(ip).is_ok()));
        for bad in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "ff02::1", "::", "[fd00::1]", "fe80::1%eth0", "9.9.9.9/24"] {
            assert!(other_address(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(own in "[0-9a-f:.%/+]{0,24}", router in "[0-9a-f:.%]{0,20}") {
            _ = (own_address(&own), other_address(&router), wrong_router(&own, &router));
        }

        #[test]
        fn a_network_is_the_same_for_both(a: u32, b: u32, prefix in 8_u8..31) {
            let (a, b) = (IpAddr::V4(a.into()), IpAddr::V4(b.into()));
            let inside = number(a) >> (32 - prefix) == number(b) >> (32 - prefix);
            if own_address(&format!("{a}/{prefix}")).is_ok() && wrong_router(&format!("{a}/{prefix}"), &b.to_string()).is_none() {
                prop_assert!(other_address(&b.to_string()).is_err() || (inside && a != b));
            }
        }
    }
}
