//! The computer that Steward itself runs on, to know it again among the machines.

use model::guests::hardware::Nic;
use std::path::Path;

/// Hardware addresses of its network cards in capital letters, and its name.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    cards: Vec<String>,
    name: String,
}

impl Own {
    /// Asks the kernel; where it tells nothing, nothing is known.
    pub fn read() -> Self {
        let name = nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Self::new(cards_in(Path::new("/sys/class/net")), &name)
    }

    fn new(cards: Vec<String>, name: &str) -> Self {
        Self { cards, name: name.split('.').next().unwrap_or_default().to_lowercase() }
    }

    pub fn has_cards(&self) -> bool {
        !self.cards.is_empty()
    }

    /// Is it the machine with this name and these cards? `Some(true)` when a card is the same; `Some(false)` when
    /// cards can't be compared and the name is the same; `None`: it is another one.
    pub fn is(&self, name: &str, nics: Option<&[Nic]>) -> Option<bool> {
        let comparable = |all: &&[Nic]| self.has_cards() && all.iter().any(|n| !n.mac.is_empty());
        match nics.filter(comparable) {
            Some(nics) => nics.iter().any(|n| self.cards.contains(&n.mac.to_uppercase())).then_some(true),
            None => (!self.name.is_empty() && self.name != "localhost" && name.eq_ignore_ascii_case(&self.name))
                .then_some(false),
        }
    }
}

fn cards_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let address = |e: std::fs::DirEntry| std::fs::read_to_string(e.path().join("address")).ok();
    let all = entries.filter_map(address).map(|a| a.trim().to_uppercase());
    all.filter(|a| a.len() == 17 && a != "00:00:00:00:00:00").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nic(mac: &str) -> Nic {
        Nic { mac: mac.into(), ..Nic::default() }
    }

    #[test]
    fn it_is_known_by_its_cards_and_only_without_them_by_its_name() {
        let own = Own::new(vec!["BC:24:11:00:00:07".into()], "Steward.home.example");
        assert_eq!(own.is("other", Some(&[nic("bc:24:11:00:00:07")])), Some(true));
        assert_eq!(own.is("steward", Some(&[nic("BC:24:11:00:00:08")])), None, "another machine of that name");
        assert_eq!(own.is("steward", None), Some(false));
        assert_eq!(own.is("steward", Some(&[])), Some(false));
        assert_eq!(own.is("web", None), None);
        let bare = Own::new(Vec::new(), "localhost");
        assert_eq!(bare.is("localhost", Some(&[nic("BC:24:11:00:00:07")])), None);
    }

    #[test]
    fn cards_are_read_as_the_kernel_tells_them() {
        let folder = tempfile::tempdir().unwrap();
        for (name, address) in [("lo", "00:00:00:00:00:00\n"), ("eth0", "bc:24:11:00:00:07\n"), ("tun0", "\n")] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("address"), address).unwrap();
        }
        assert_eq!(cards_in(folder.path()), ["BC:24:11:00:00:07"]);
        assert!(cards_in(Path::new("/no/such/folder")).is_empty());
    }
}
