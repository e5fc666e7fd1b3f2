//! A terminal as termproxy and `vncterm` give it: the framing of pve-xtermjs around a shell that knows a few
//! words. First the viewer says `user:ticket`, then `0:<length>:<bytes>` for input, `1:<columns>:<rows>:` for
//! a new size, `2` to stay alive; what comes back is bare output.

use crate::state::Guest;
use crate::world::World;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};

/// The longest hello, number and input of one frame.
const HELLO: usize = 1024;
const INPUT: usize = 64 * 1024;

fn wrong(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Speaks with one viewer until it goes.
pub async fn serve<S>(world: &Arc<World>, vmid: u32, line: S, hello: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (reader, mut writer) = tokio::io::split(line);
    let mut reader = BufReader::new(reader);
    let mut said = Vec::new();
    (&mut reader).take(HELLO as u64).read_until(b'\n', &mut said).await?;
    if said != hello.as_bytes() {
        return Err(wrong("the terminal's hello does not fit its ticket"));
    }
    writer.write_all(b"OK").await?;
    let mut shell = Shell { world, vmid, line: String::new(), size: (80, 24) };
    writer.write_all(shell.prompt().as_bytes()).await?;
    loop {
        let output = match reader.read_u8().await? {
            b'0' => {
                colon(&mut reader).await?;
                let mut input = vec![0; number(&mut reader).await?];
                reader.read_exact(&mut input).await?;
                shell.input(&String::from_utf8_lossy(&input))
            }
            b'1' => {
                colon(&mut reader).await?;
                shell.size = (number(&mut reader).await?, number(&mut reader).await?);
                String::new()
            }
            b'2' => String::new(),
            _ => return Err(wrong("an unknown frame")),
        };
        writer.write_all(output.as_bytes()).await?;
    }
}

async fn colon<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> io::Result<()> {
    if reader.read_u8().await? == b':' { Ok(()) } else { Err(wrong("a frame without its colon")) }
}

/// Digits up to the next colon.
async fn number<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> io::Result<usize> {
    let mut digits = Vec::new();
    reader.take(8).read_until(b':', &mut digits).await?;
    let digits = String::from_utf8_lossy(&digits);
    let number = digits.strip_suffix(':').and_then(|d| d.parse().ok());
    number.filter(|n| *n <= INPUT).ok_or_else(|| wrong("a frame without its number"))
}

struct Shell<'a> {
    world: &'a Arc<World>,
    vmid: u32,
    /// What stands behind the prompt.
    line: String,
    size: (usize, usize),
}

impl Shell<'_> {
    fn name(&self) -> String {
        self.world.read(|c| c.guests.get(&self.vmid).map(Guest::name)).unwrap_or_default()
    }

    fn prompt(&self) -> String {
        format!("\x1b[1;32mroot@{}\x1b[0m:~# ", self.name())
    }

    /// What the terminal shows for these keys.
    fn input(&mut self, keys: &str) -> String {
        let mut out = String::new();
        for key in keys.chars() {
            match key {
                '\r' | '\n' => {
                    let line = std::mem::take(&mut self.line);
                    out.push_str("\r\n");
                    out.push_str(&self.answer(&line));
                    out.push_str(&self.prompt());
                }
                '\x7f' | '\x08' => out.push_str(if self.line.pop().is_some() { "\x08 \x08" } else { "" }),
                '\x03' => {
                    self.line.clear();
                    out.push_str("^C\r\n");
                    out.push_str(&self.prompt());
                }
                c if !c.is_control() => {
                    self.line.push(c);
                    out.push(c);
                }
                _ => {}
            }
        }
        out
    }

    fn answer(&self, line: &str) -> String {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let text = match word {
            "" => return String::new(),
            "hostname" => self.name(),
            "date" => self.world.now().div_euclid(1000).to_string(),
            "echo" => rest.trim().to_owned(),
            "uptime" => {
                let since = self.world.read(|c| c.guests.get(&self.vmid)?.run.as_ref().map(|r| r.since));
                format!("up {} minutes", (self.world.now() - since.unwrap_or_default()) / 60_000)
            }
            "stty" => format!("rows {}; columns {};", self.size.1, self.size.0),
            "help" => "date echo help hostname stty uptime".to_owned(),
            other => format!("sh: {other}: not found"),
        };
        format!("{text}\r\n")
    }
}
