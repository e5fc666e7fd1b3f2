//! Finds a machine on Steward's own network by the hardware address of its card, when it does not report its address
//! itself: what the kernel's ARP table knows (RFC 826), after one datagram to every address of the networks that
//! are reached without a router. The files are those of proc_net(5).

use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Larger networks are not searched: 1,022 addresses are what a /22 has.
const MOST: u32 = 1022;
/// How often all addresses may be spoken to.
const PAUSE: Duration = Duration::from_secs(30);
/// How long an answer to ARP may take.
const ANSWER: Duration = Duration::from_millis(700);
/// The discard port (RFC 863): nobody answers there, and only the question for the hardware address counts.
const DISCARD: u16 = 9;
/// `ATF_COM` of if_arp.h: the entry holds an answer.
const COMPLETE: u32 = 0x2;

/// The machines around, and when they were last asked.
#[derive(Debug, Default)]
pub struct Neighbours(Mutex<Option<Instant>>);

impl Neighbours {
    /// IPv4 addresses behind one of these cards (`BC:24:11:..`, in any case) that the kernel knows now. Nothing
    /// is sent.
    pub async fn known(&self, cards: &[String]) -> Vec<Ipv4Addr> {
        let cards = cards.to_vec();
        tokio::task::spawn_blocking(move || behind(&read("/proc/net/arp"), &cards)).await.unwrap_or_default()
    }

    /// The same, after sending something to every neighbour; that happens at most every 30 seconds.
    pub async fn search(&self, cards: &[String]) -> Vec<Ipv4Addr> {
        let known = self.known(cards).await;
        if !known.is_empty() || !self.may_ask() {
            return known;
        }
        let asked = tokio::task::spawn_blocking(|| ask_all(&around(&read("/proc/net/route")))).await;
        if !matches!(asked, Ok(Ok(()))) {
            return known;
        }
        tokio::time::sleep(ANSWER).await;
        self.known(cards).await
    }

    fn may_ask(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= PAUSE);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

/// A kernel that reports nothing knows nobody.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// `IP address  HW type  Flags  HW address  Mask  Device`
fn behind(arp: &str, cards: &[String]) -> Vec<Ipv4Addr> {
    let lines = arp.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let complete = |flags: &str| {
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        flags & COMPLETE != 0
    };
    lines
        .filter_map(|line| match line[..] {
            [address, _, flags, card, ..] if complete(flags) && cards.iter().any(|c| c.eq_ignore_ascii_case(card)) => {
                address.parse().ok()
            }
            _ => None,
        })
        .collect()
}

/// All addresses of the networks without a router: `Iface Destination Gateway Flags RefCnt Use Metric Mask ..`,
/// numbers in hex as they lie in memory.
fn around(routes: &str) -> Vec<Ipv4Addr> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let mut found = Vec::new();
    for line in routes.lines().skip(1) {
        let line: Vec<_> = line.split_ascii_whitespace().collect();
        let [card, network, gateway, _, _, _, _, mask, ..] = line[..] else { continue };
        let (Some(network), Some(0), Some(mask)) = (hex(network), hex(gateway), hex(mask)) else { continue };
        let hosts = (!mask).saturating_sub(1);
        if card != "lo" && (1..=MOST).contains(&hosts) {
            found.extend((1..=hosts).map(|n| Ipv4Addr::from_bits((network & mask) | n)));
        }
    }
    found
}

/// One empty datagram each. One that can't be sent is one machine that is not found.
fn ask_all(addresses: &[Ipv4Addr]) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    for address in addresses {
        drop(socket.send_to(&[], (*address, DISCARD)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARP: &str = "IP address       HW type     Flags       HW address            Mask     Device\n\
        192.168.1.20     0x1         0x2         bc:24:11:00:00:07     *        vmbr0\n\
        192.168.1.21     0x1         0x0         00:00:00:00:00:00     *        vmbr0\n\
        192.168.1.22     0x1         0x0         bc:24:11:00:00:08     *        vmbr0\n\
        half a line\n";

    #[test]
    fn only_answered_entries_of_the_card_count() {
        let cards = |all: &[&str]| all.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        assert_eq!(behind(ARP, &cards(&["BC:24:11:00:00:07"])), [Ipv4Addr::new(192, 168, 1, 20)]);
        assert!(behind(ARP, &cards(&["BC:24:11:00:00:08", "00:00:00:00:00:00"])).is_empty(), "asked, no answer yet");
        assert!(behind("", &cards(&["BC:24:11:00:00:07"])).is_empty());
    }

    #[test]
    fn networks_without_a_router_are_searched_when_they_are_small() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
            vmbr0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            vmbr0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            wide\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
            far\t0002A8C0\t0101A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            one\t0503A8C0\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        let all = around(routes);
        assert_eq!(all.len(), 254);
        assert_eq!((all[0], all[253]), (Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(192, 168, 1, 254)));
    }

    #[test]
    fn everybody_is_asked_only_now_and_then() {
        let neighbours = Neighbours::default();
        assert!(neighbours.may_ask());
        assert!(!neighbours.may_ask());
    }
}
