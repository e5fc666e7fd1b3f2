//! The KVM host of the test: `tests/peers/libvirt/host`, a container with real systemd, sshd and libvirtd.

use base::Secret;
use std::collections::HashMap;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Making the root for the first time takes a minute or two.
const READY: Duration = Duration::from_secs(400);

/// A running host. It powers itself off and cleans up when its input ends, also when a test panics.
pub struct Host {
    pub port: u16,
    /// The container's first process.
    leader: String,
    folder: tempfile::TempDir,
    child: Child,
}

impl Host {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().await;
        assert!(made.expect("ssh-keygen: scripts/setup-tests brings it").success());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/libvirt/host");
        let mut child = Command::new(script)
            .arg(folder.path().join("key.pub"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let mut words = line.split(' ');
                if words.next() == Some("ready") {
                    let (port, leader) = (words.next().unwrap(), words.next().unwrap());
                    return Some((port.parse().unwrap(), leader.to_owned()));
                }
            }
            None
        };
        let ready = tokio::time::timeout(READY, ready).await.expect("the host is not ready in time");
        let (port, leader) = ready.expect("the libvirt host did not start: see what it printed");
        Self { port, leader, folder, child }
    }

    pub fn private_key(&self) -> Secret<String> {
        Secret::new(std::fs::read_to_string(self.folder.path().join("key")).unwrap())
    }

    /// Runs a command on the host, as root, past everything that is tested.
    pub fn run(&self, command: &str) -> String {
        let ran = std::process::Command::new("nsenter")
            .args(["--all", "--target", &self.leader, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"])
            .args(["sh", "-c", command])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The fingerprint of the host's key of this kind, as ssh-keygen says it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let list = self.run(&format!(
            "for f in /etc/ssh/ssh_host_*.pub; do grep -q '^{kind} ' $f && ssh-keygen -lf $f; done; true"
        ));
        list.split_whitespace().nth(1).unwrap_or_else(|| panic!("no {kind} in {list:?}")).to_owned()
    }

    /// What the guest says of itself, once it is up: name, disk, cores, memory, user, key, mark.
    pub async fn facts(&self, guest: &str) -> HashMap<String, String> {
        let text = self.asked(guest, "facts", |text| text.lines().any(|l| l.starts_with("mark"))).await;
        text.lines().filter_map(|l| l.split_once(' ')).map(|(k, v)| (k.to_owned(), v.trim().to_owned())).collect()
    }

    /// Writes a word onto the guest's disk, from inside.
    pub async fn mark(&self, guest: &str, word: &str) {
        assert_eq!(self.asked(guest, &format!("mark?{word}"), |text| !text.is_empty()).await.trim(), "kept");
    }

    /// Powers it off and waits until nothing of it is left.
    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        let gone = tokio::time::timeout(Duration::from_secs(60), self.child.wait()).await;
        assert!(gone.is_ok(), "the host does not power off");
    }

    /// A page of the guest, once it is whole: one that has just come back may be too slow for the first try.
    async fn asked(&self, guest: &str, page: &str, is_whole: impl Fn(&str) -> bool) -> String {
        let ask = format!(
            "a=$(virsh -q domifaddr {guest} | awk '{{print $4}}' | cut -d/ -f1); [ -n \"$a\" ] && curl -s --max-time 3 http://$a/cgi-bin/{page}; true"
        );
        let began = Instant::now();
        loop {
            let text = self.run(&ask);
            if is_whole(&text) {
                return text;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "the guest does not come up");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}
