//! Against a real OpenSSH server on loopback, with its own keys and port; only harmless commands.

use super::*;
use base::Secret;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Sshd {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
    key: Arc<Secret<String>>,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn host_key(folder: &Path) {
    let file = folder.join("hostkey");
    let _ = std::fs::remove_file(&file);
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&file).status().unwrap();
    assert!(made.success());
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Sshd {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        host_key(folder.path());
        let pair = KeyPair::new("steward test").unwrap();
        std::fs::write(folder.path().join("authorized_keys"), &pair.public).unwrap();
        // sshd requires it, whoever starts it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = free_port();
        let child = Self::serve(folder.path(), port);
        let sshd = Self { child, port, folder, key: Arc::new(pair.private) };
        sshd.up().await;
        sshd
    }

    fn serve(folder: &Path, port: u16) -> Child {
        let at = folder.display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {at}/hostkey\nPidFile {at}/pid\nAuthorizedKeysFile {at}/authorized_keys\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
        );
        std::fs::write(folder.join("sshd_config"), config).unwrap();
        Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(folder.join("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/setup-tests apt brings sshd")
    }

    async fn up(&self) {
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("sshd did not start");
    }

    /// The same place with another key, as after an exchange of the machine.
    async fn change_host_key(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        host_key(self.folder.path());
        self.child = Self::serve(self.folder.path(), self.port);
        self.up().await;
    }

    fn target(&self) -> Target {
        Target {
            host: "127.0.0.1".into(),
            port: self.port,
            user: nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name,
            auth: Auth::Key(Arc::clone(&self.key)),
            pins: Vec::new(),
        }
    }

    async fn session(&self) -> SshSession {
        SshSession::connect(&self.target()).await.unwrap()
    }
}

async fn run(session: &SshSession, command: &str) -> (Ran, Vec<(Stream, String)>) {
    let mut lines = Vec::new();
    let ran = session.run(command, &RunOptions::default(), &mut |s, l| lines.push((s, l.to_owned()))).await.unwrap();
    (ran, lines)
}

#[tokio::test]
async fn a_command_tells_its_outputs_its_lines_and_its_end() {
    let sshd = Sshd::start().await;
    let session = sshd.session().await;
    let (ran, lines) = run(&session, "echo one; echo two >&2; printf '1%%\\r2%%\\n'; exit 7").await;
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (7, "one\n1%\r2%\n", "two\n"));
    assert!(lines.contains(&(Stream::Err, "two".into())) && lines.contains(&(Stream::Out, "2%".into())), "{lines:?}");
    let (ran, _) = run(&session, "kill -KILL $$").await;
    assert_eq!((ran.code, ran.signal.as_deref()), (137, Some("KILL")));
}

#[tokio::test]
async fn a_command_reads_its_input_and_only_the_end_of_much_output_is_kept() {
    let sshd = Sshd::start().await;
    let session = sshd.session().await;
    let options = RunOptions { stdin: vec![b'x'; 3 << 20], keep: 100, ..RunOptions::default() };
    let ran = session.run("wc -c; seq 200000", &options, &mut |_, _| {}).await.unwrap();
    assert!(ran.cut && ran.out.len() == 100 && ran.out.ends_with("\n200000\n"), "{ran:?}");
}

#[tokio::test]
async fn a_command_without_end_is_given_up_and_the_connection_goes_on() {
    let sshd = Sshd::start().await;
    let session = sshd.session().await;
    let options = RunOptions { limit: Duration::from_millis(300), ..RunOptions::default() };
    let e = session.run("sleep 30", &options, &mut |_, _| {}).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::Timeout);
    assert_eq!(run(&session, "echo still here").await.0.out, "still here\n");
}

#[tokio::test]
async fn the_pinned_host_key_is_accepted_and_another_one_refused() {
    let mut sshd = Sshd::start().await;
    let first = sshd.session().await.host_key().clone();
    assert!(first.kind == "ssh-ed25519" && first.fingerprint.starts_with("SHA256:"), "{first:?}");
    let pinned = Target { pins: vec![first.fingerprint.clone()], ..sshd.target() };
    SshSession::connect(&pinned).await.unwrap();
    sshd.change_host_key().await;
    let e = SshSession::connect(&pinned).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::HostKey);
    assert!(e.message.contains("different host key") && e.message.contains(&first.fingerprint), "{e}");
}

#[tokio::test]
async fn a_wrong_key_a_wrong_password_and_nobody_there_are_told_apart() {
    let sshd = Sshd::start().await;
    let stranger = Auth::Key(Arc::new(KeyPair::new("stranger").unwrap().private));
    let e = SshSession::connect(&Target { auth: stranger, ..sshd.target() }).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::Auth);
    let password = Auth::Password(Arc::new(Secret::new("three green lamps".to_owned())));
    let e = SshSession::connect(&Target { auth: password, ..sshd.target() }).await.unwrap_err();
    assert!(e.kind == SshErrorKind::Auth && !e.message.contains("lamps"), "{e}");
    let e = SshSession::connect(&Target { port: free_port(), ..sshd.target() }).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::Unreachable);
    let no_key = Auth::Key(Arc::new(Secret::new("no key".to_owned())));
    let e = SshSession::connect(&Target { auth: no_key, ..sshd.target() }).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::Invalid);
}

#[tokio::test]
async fn a_tunnel_reaches_a_port_behind_the_host() {
    let sshd = Sshd::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let echo = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut word = [0; 5];
        tcp.read_exact(&mut word).await.unwrap();
        tcp.write_all(&word).await.unwrap();
    });
    let session = sshd.session().await;
    let mut tunnel = session.tunnel("127.0.0.1", port).await.unwrap();
    tunnel.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    tunnel.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"hello");
    echo.await.unwrap();
    let refused = session.tunnel("127.0.0.1", free_port()).await.err().unwrap();
    assert_eq!(refused.kind, SshErrorKind::Refused);
}

#[tokio::test]
async fn a_server_that_goes_away_is_noticed() {
    let mut sshd = Sshd::start().await;
    let session = sshd.session().await;
    let (_, _) = run(&session, "true").await;
    // The listener is the parent of the connection's own process, which outlives it.
    let (ran, _) = run(&session, "echo $PPID").await;
    let _ = sshd.child.kill();
    let pid: i32 = ran.out.trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    let e = session.run("true", &RunOptions::default(), &mut |_, _| {}).await.unwrap_err();
    assert_eq!(e.kind, SshErrorKind::Unreachable, "{e}");
    assert!(session.is_closed());
}

#[test]
fn a_private_key_that_cannot_be_used_is_told_with_what_to_do() {
    // Of nobody; its password is “kettles”.
    let locked = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDy05deS4\n\
        naK2ny+S+TI2CCAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIOMvgCR8of019b97\n\
        0iFJDcjNNwIuFVsRcrN7ruBcOdQ5AAAAkI8PSs9S/SmsdmFtEwrMZ0k5GbufiqS/sPefZ/\n\
        s6IPbbo+XrIxw0D/+/28xp5xcKoD3XoZC2fneUjm+9PJnHN4tiizGszr7uc7vmjYyecyq5\n\
        0ZrdXMuA1R4CCQMri9tbGoiB2bqRFDdm6XGkIIdnWJwAQjxSnHp/bYjVrDbemLRBFsW1Nu\n\
        uMTjxgiGu6m6/5jw==\n\
        -----END OPENSSH PRIVATE KEY-----";
    let told = |key: &str| public_line(&Secret::new(key.to_owned())).unwrap_err().message;
    assert!(told(locked).contains("has a password") && told(locked).contains("ssh-keygen -p"), "{}", told(locked));
    assert!(told("-----BEGIN ENCRYPTED PRIVATE KEY-----\n").contains("has a password"));
    assert!(told("ssh-ed25519 AAAA mira@desk").contains("not a private key"));
    assert!(told(&locked[..90]).contains("whole file"), "{}", told(&locked[..90]));
}

#[test]
fn a_made_key_gives_its_public_line_again() {
    let pair = KeyPair::new("steward").unwrap();
    assert_eq!(public_line(&pair.private).unwrap(), pair.public);
    assert!(pair.public.starts_with("ssh-ed25519 ") && pair.public.ends_with(" steward"));
    assert!(!format!("{pair:?}").contains("PRIVATE"));
}
