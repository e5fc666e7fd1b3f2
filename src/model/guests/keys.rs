//! Public SSH keys as people paste them: decoded, not only looked at. Proxmox reads each with `ssh-keygen`, and a cut-off
//! key that went through would let nobody in.

use ssh_key::PublicKey;

const FORM: &str = "Paste public keys as in authorized_keys, one per line: ssh-ed25519 AAAA...";

/// Are these lines as in `authorized_keys`, without options? Empty lines are fine.
///
/// # Errors
/// A sentence for the field, with the line where there are several.
pub fn check_public_keys(text: &str) -> Result<(), String> {
    if is_private(text) {
        return Err(
            "This is a private key, which must stay where it is. Paste the public one: the file of the same name \
                    that ends in .pub."
                .to_owned(),
        );
    }
    if text.contains("BEGIN SSH2 PUBLIC KEY") {
        return Err(
            "This key is in another program's form. “ssh-keygen -i -f FILE” prints the line to paste.".to_owned()
        );
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (n, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        let place = if lines.len() > 1 { format!("Line {}: ", n + 1) } else { String::new() };
        check(line).map_err(|why| format!("{place}{why}"))?;
    }
    Ok(())
}

/// The head of any form that a private key is kept in.
pub fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY") || text.contains("PuTTY-User-Key-File")
}

fn check(line: &str) -> Result<(), &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (kind, body) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|start| kind.starts_with(start)) {
        return Err(FORM);
    }
    if line.contains(base::text::is_hidden) {
        return Err("The key has characters that can't be seen. Copy it again.");
    }
    match PublicKey::from_openssh(&format!("{kind} {body}")) {
        Ok(key) if key.key_data().is_other() => Err("This kind of key is not known. Make one: ssh-keygen -t ed25519."),
        Ok(_) => Ok(()),
        Err(_) => Err("The key is damaged or cut off. Copy the whole line again."),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3xS0mVtCfyoD3XbJvQ4oW2w0oXcYgLZbqvKq9n4m3t mira@desk";
    const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU= me";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDFKsSYNfq1FLndoRKKFjWKxnvP2rP9NoT9722Xc/2QL0YlvRiPjf55Ltd+4dHRwD/ziBGYRFHiMKS5McRcT6ChN4dTrLDdh8NABFmLGOW61j+p+GunnaFPMDxOFAFuhkUEpFb+7xZAbVMtXZ3J66DvDgc4Gcbh8v1cBreLnIT28Q==";
    const SECURITY_KEY: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fAAAABHNzaDo= me";

    #[test]
    fn whole_keys_of_every_kind_are_taken() {
        for good in [ED25519, ECDSA, RSA, SECURITY_KEY, "", &format!("\n {ED25519}\r\n\n{RSA}\n")] {
            assert_eq!(check_public_keys(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn each_wrong_key_is_told_with_its_line() {
        let cut = &ED25519[..60];
        let other_word = ED25519.replace("ssh-ed25519 ", "ssh-rsa ");
        let refused = [
            (cut, "cut off"),
            (other_word.as_str(), "damaged"),
            (&format!("{ED25519}\n{cut}"), "Line 2: The key is damaged"),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n", "private key"),
            ("PuTTY-User-Key-File-3: ssh-ed25519", "private key"),
            ("---- BEGIN SSH2 PUBLIC KEY ----", "ssh-keygen -i"),
            ("mira@desk", "Paste public keys"),
            ("from=\"10.0.0.1\" ssh-ed25519 AAAA", "Paste public keys"),
            ("ssh-ed25519 A*A", "damaged"),
            ("ssh-ed25519", "damaged"),
            (&format!("{ED25519}\u{202e}x"), "can't be seen"),
        ];
        for (text, why) in refused {
            let told = check_public_keys(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("AAAA "), "{text}: {told}");
        }
    }

    proptest! {
        #[test]
        fn no_beginning_of_a_key_passes_for_it(end in 12_usize..80) {
            prop_assert!(check_public_keys(&ED25519[..end]).is_err());
        }
    }
}
