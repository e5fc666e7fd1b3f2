//! The few PowerShell scripts that Steward itself sends to a Windows machine. One short text, always the same, stands
//! in the command line; what it is to do, with scripts and secrets, is read by it.

use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use serde_json::{Value, json};
use std::sync::LazyLock;

const BEGIN: &str = include_str!("powershell/begin.ps1");
const COMMON: &str = include_str!("powershell/common.ps1");
const RUN: &str = include_str!("powershell/run.ps1");
const START: &str = include_str!("powershell/start.ps1");
const LOOK: &str = include_str!("powershell/look.ps1");
const END: &str = include_str!("powershell/end.ps1");
const PUT: &str = include_str!("powershell/put.ps1");
const GET: &str = include_str!("powershell/get.ps1");
const BOOT: &str = include_str!("powershell/boot.ps1");

/// Exit code of ours for "there is no such file".
pub(super) const NO_FILE: i64 = 44;
/// Exit code of ours for "it went well, and there was more output than is kept".
pub(super) const CUT: i64 = 4097;
/// Bytes that the agent hands to a command at most.
pub(super) const MOST_INPUT: usize = 64 << 10;

/// What is asked of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AgentRequest<'a> {
    Run {
        script: &'a str,
        input: &'a str,
    },
    /// Runs until the script is over. `dir` keeps what became of it; `sum` and `round` tell whether it is the same
    /// one as before; by `nonce` a poll knows that it sees this start.
    Start {
        dir: &'a str,
        sum: &'a str,
        round: &'a str,
        nonce: &'a str,
        script: &'a str,
    },
    /// `from` -1: from where the last one who looked was.
    Look {
        dir: &'a str,
        nonce: &'a str,
        from: i64,
        most: usize,
    },
    End {
        dir: &'a str,
    },
    /// Makes the folder and an empty file that only the system and administrators may read.
    Put {
        path: &'a str,
    },
    Get {
        path: &'a str,
    },
    Boot,
}

impl AgentRequest<'_> {
    /// What the command reads: base64 of JSON, so that no code page matters on the way.
    pub(super) fn input(&self) -> Secret<String> {
        let (code, mut all) = match *self {
            Self::Run { script, input } => (RUN, json!({ "do": "run", "script": script, "input": input })),
            Self::Start { dir, sum, round, nonce, script } => (
                START,
                json!({ "do": "start", "dir": dir, "sum": sum, "round": round, "nonce": nonce, "script": script }),
            ),
            Self::Look { dir, nonce, from, most } => {
                (LOOK, json!({ "do": "look", "dir": dir, "nonce": nonce, "from": from, "most": most }))
            }
            Self::End { dir } => (END, json!({ "do": "end", "dir": dir })),
            Self::Put { path } => (PUT, json!({ "do": "put", "path": path })),
            Self::Get { path } => (GET, json!({ "do": "get", "path": path })),
            Self::Boot => (BOOT, json!({ "do": "boot" })),
        };
        all["code"] = Value::String(format!("{COMMON}{code}"));
        Secret::new(B64.encode(all.to_string()))
    }
}

/// The command line that takes what it does from its input.
pub(super) fn command() -> &'static [String] {
    static COMMAND: LazyLock<Vec<String>> = LazyLock::new(|| {
        let words = ["powershell.exe", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass"];
        let mut all: Vec<String> = words.map(str::to_owned).into();
        all.extend(["-OutputFormat".to_owned(), "Text".to_owned(), "-EncodedCommand".to_owned(), encoded(BEGIN)]);
        all
    });
    &COMMAND
}

/// A script as `-EncodedCommand` takes it: base64 of UTF-16, the low byte first.
fn encoded(script: &str) -> String {
    let bytes: Vec<u8> = script.encode_utf16().flat_map(u16::to_le_bytes).collect();
    B64.encode(bytes)
}

/// The bytes of an output whose characters are its bytes; a text with other characters is taken as it is.
pub(super) fn bytes_of(text: &str) -> Vec<u8> {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|c| u8::try_from(u32::from(c))).collect();
    bytes.unwrap_or_else(|_| text.as_bytes().to_vec())
}

/// Windows writes UTF-8 only where it was asked to: anything else is read byte by byte.
pub(super) fn text_of(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().map(|b| char::from(*b)).collect());
    text.replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_always_the_same_and_short_enough_for_windows() {
        let all = command();
        let told = B64.decode(all.last().unwrap()).unwrap();
        let text: Vec<u16> = told.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        assert_eq!(String::from_utf16(&text).unwrap(), BEGIN);
        // CreateProcess takes 32,767 characters.
        assert!(all.join(" ").len() < 8_000, "{}", all.join(" ").len());
    }

    #[test]
    fn scripts_and_secrets_go_by_the_input() {
        let asked = AgentRequest::Run { script: "Set-Content x $Given", input: "grün \"'$(x)\u{2019}" };
        let told: Value = serde_json::from_slice(&B64.decode(asked.input().expose()).unwrap()).unwrap();
        assert_eq!((&told["do"], &told["input"]), (&json!("run"), &json!("grün \"'$(x)\u{2019}")));
        assert!(told["code"].as_str().unwrap().starts_with("param($asked)"));
        let longest = AgentRequest::Start { dir: "", sum: "", round: "", nonce: "", script: &"x".repeat(40 << 10) };
        assert!(longest.input().expose().len() < MOST_INPUT, "{}", longest.input().expose().len());
    }

    #[test]
    fn output_is_read_as_what_it_is() {
        assert_eq!(text_of(bytes_of("GrÃ¼n\r\n")), "Grün\n");
        assert_eq!(text_of(bytes_of("Gr\u{81}n")), "Gr\u{81}n");
        assert_eq!(text_of(bytes_of("→ x")), "→ x");
    }
}
