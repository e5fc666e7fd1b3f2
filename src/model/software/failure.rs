//! Why a command on a machine failed, as far as its words tell, and what helps. Pure: exit status and output in.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    OutOfMemory,
    DiskFull,
    NameResolution,
    PackageNotFound,
    AptLock,
    NoNetwork,
    Permission,
}

/// What can be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    MoreMemory,
    BiggerDisk,
    /// Nothing but another try, once the cause is gone.
    Retry,
}

/// Words in lower case that tell a cause, the surest causes first: a full disk also makes packages fail in
/// other ways, and an unresolved name makes them "not found".
const WORDS: &[(FailureClass, &[&str])] = &[
    (
        FailureClass::DiskFull,
        &[
            "no space left on device",
            "you don't have enough free space",
            "disk quota exceeded",
            "not enough free disk space",
            "there is not enough space on the disk",
        ],
    ),
    (
        FailureClass::OutOfMemory,
        &[
            "out of memory",
            "cannot allocate memory",
            "oom-kill",
            "memory exhausted",
            "std::bad_alloc",
            "heap out of memory",
            "outofmemoryexception",
            "not enough memory resources are available",
        ],
    ),
    (
        FailureClass::AptLock,
        &[
            "could not get lock",
            "unable to lock the administration directory",
            "unable to acquire the dpkg frontend lock",
            "waiting for cache lock",
            "resource temporarily unavailable) e: unable to lock",
            "another installation is already in progress",
            "exit code 1618",
        ],
    ),
    (
        FailureClass::NameResolution,
        &[
            "temporary failure resolving",
            "could not resolve",
            "name or service not known",
            "temporary failure in name resolution",
            "no address associated with hostname",
            "unable to resolve host address",
            "bad address",
            "the remote name could not be resolved",
            "0x80072ee7",
        ],
    ),
    (
        FailureClass::NoNetwork,
        &[
            "network is unreachable",
            "no route to host",
            "connection timed out",
            "could not connect to",
            "cannot initiate the connection",
            "failed to connect to",
            "connection refused",
            "unable to connect to the remote server",
            "0x80072efd",
            "0x80072ee2",
        ],
    ),
    (
        FailureClass::PackageNotFound,
        &[
            "unable to locate package",
            "has no installation candidate",
            "no match for argument",
            "no such package",
            "(no such package):",
            "couldn't find any package",
            "no package found matching input criteria",
            "no applicable installer found",
        ],
    ),
    (
        FailureClass::Permission,
        &[
            "permission denied",
            "operation not permitted",
            "are you root?",
            "a password is required",
            "not in the sudoers file",
            "read-only file system",
            "access is denied",
            "requested registry access is not allowed",
        ],
    ),
];

impl FailureClass {
    /// The sentence that a person reads.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OutOfMemory => "The machine ran out of memory.",
            Self::DiskFull => "The machine's disk is full.",
            Self::NameResolution => "The machine can't look up names: its name server does not answer.",
            Self::PackageNotFound => "The machine's package sources do not have a package that is needed.",
            Self::AptLock => "Another program on the machine is installing packages right now.",
            Self::NoNetwork => "The machine can't reach the server that it downloads from.",
            Self::Permission => "The machine does not let Steward do this.",
        }
    }

    /// What helps, in words.
    pub fn advice(self) -> &'static str {
        match self {
            Self::OutOfMemory => "Give the machine more memory, then try again.",
            Self::DiskFull => "Make the disk larger or free some space on it, then try again.",
            Self::NameResolution => {
                "Look at the name server in its network settings (often the router), then try again."
            }
            Self::PackageNotFound => {
                "Its system may be too old, or not one that the recipe is for; or one of its package sources is missing."
            }
            Self::AptLock => "Automatic updates do this after the first start. Try again in a few minutes.",
            Self::NoNetwork => "Look at its bridge, VLAN, router and firewall, then try again.",
            Self::Permission => {
                "Its user must be root, or be allowed to use sudo without a password, and the disk must be writable. On Windows a policy may forbid it."
            }
        }
    }

    pub fn remedy(self) -> Remedy {
        match self {
            Self::OutOfMemory => Remedy::MoreMemory,
            Self::DiskFull => Remedy::BiggerDisk,
            _ => Remedy::Retry,
        }
    }
}

/// The cause, if the words tell one. `code` is the exit status, where it is known; `output` the end of what the
/// command wrote.
pub fn classify(code: Option<u32>, output: &str) -> Option<FailureClass> {
    // Our own sentence, from an earlier look at the same output.
    if let Some((class, _)) = WORDS.iter().find(|(class, _)| output.contains(class.sentence())) {
        return Some(*class);
    }
    let text = output.to_lowercase();
    let told = WORDS.iter().find(|(_, words)| words.iter().any(|w| text.contains(w))).map(|(class, _)| *class);
    // 137 is the kernel's SIGKILL: nearly always because memory ran out.
    told.or_else(|| (code == Some(137) || text.trim_end().ends_with("killed")).then_some(FailureClass::OutOfMemory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureClass::{AptLock, DiskFull, NameResolution, NoNetwork, OutOfMemory, PackageNotFound, Permission};

    /// Words as apt, dpkg, dnf, curl and others really print them.
    #[test]
    fn causes_are_told_by_the_words_of_real_programs() {
        let cases = [
            ("E: Unable to locate package nginxx", PackageNotFound),
            ("E: Package 'sonarr' has no installation candidate", PackageNotFound),
            ("Error: Unable to find a match: x\nNo match for argument: x", PackageNotFound),
            (
                "dpkg: error processing archive /var/cache/apt/x.deb (--unpack):\n cannot copy extracted data: failed to write (No space left on device)",
                DiskFull,
            ),
            ("E: You don't have enough free space in /var/cache/apt/archives/.", DiskFull),
            ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)", AptLock),
            (
                "W: Failed to fetch http://mirror.example/x  Temporary failure resolving 'mirror.example'\nE: Unable to locate package nginx",
                NameResolution,
            ),
            ("curl: (6) Could not resolve host: github.com", NameResolution),
            ("curl: (7) Failed to connect to 10.0.0.1 port 80 after 3 ms: Couldn't connect to server", NoNetwork),
            ("connect (101: Network is unreachable)", NoNetwork),
            ("fork: Cannot allocate memory", OutOfMemory),
            ("sudo: a password is required", Permission),
            ("New-Item : Access is denied", Permission),
            ("The remote name could not be resolved: 'example.com'", NameResolution),
            ("msiexec.exe ended with exit code 1618", AptLock),
            ("There is not enough space on the disk.", DiskFull),
            ("No package found matching input criteria.", PackageNotFound),
            (
                "E: Could not open lock file /var/lib/dpkg/lock - open (13: Permission denied)\nE: are you root?",
                Permission,
            ),
        ];
        for (text, class) in cases {
            assert_eq!(classify(Some(100), text), Some(class), "{text}");
        }
    }

    #[test]
    fn a_command_that_the_kernel_killed_lacked_memory_and_unknown_words_tell_nothing() {
        assert_eq!(classify(Some(137), "Setting up x"), Some(OutOfMemory));
        assert_eq!(classify(Some(1), "make: Killed\nKilled\n"), Some(OutOfMemory));
        assert_eq!(classify(Some(1), "something else"), None);
        assert_eq!(classify(None, &format!("{} It said: x", DiskFull.sentence())), Some(DiskFull));
    }

    #[test]
    fn memory_and_disk_lead_to_the_hardware() {
        assert_eq!(
            (OutOfMemory.remedy(), DiskFull.remedy(), AptLock.remedy()),
            (Remedy::MoreMemory, Remedy::BiggerDisk, Remedy::Retry)
        );
    }
}
