//! The machine's side of a console as bytes, whichever way the provider reaches it.

use base::{Error, Result, Secret};
use remote::ssh::SshSession;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};

/// How long a terminal may take to greet.
const GREETING: Duration = Duration::from_secs(10);
/// The largest input in one frame of Proxmox's terminals.
const PIECE: usize = 8 * 1024;
/// A broken SSH connection ends its streams a moment before it says that it is closed.
const MOMENT: Duration = Duration::from_millis(100);

/// Any stream of bytes.
pub trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// How input is wrapped on its way to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Bytes as they are.
    Plain,
    /// pve-xtermjs: `0:<length>:<bytes>` for input, `1:<columns>:<rows>:` for a size, `2` to stay alive.
    /// What comes back is bare output.
    PveTerminal,
}

/// An open stream to a machine.
pub struct ConsoleStream {
    line: Box<dyn Line>,
    framing: Framing,
    /// What the line goes through; it is closed when both halves are gone.
    link: Option<Arc<SshSession>>,
}

impl ConsoleStream {
    /// A screen (RFB), or a line without any wrapping.
    pub fn plain(line: impl Line + 'static) -> Self {
        Self { line: Box::new(line), framing: Framing::Plain, link: None }
    }

    /// The same, through an SSH connection that is there for it alone.
    pub fn over_ssh(line: impl Line + 'static, session: SshSession) -> Self {
        Self { link: Some(Arc::new(session)), ..Self::plain(line) }
    }

    /// A terminal of Proxmox's `termproxy`, which wants to hear user and ticket and says OK.
    ///
    /// # Errors
    /// `Unavailable` when it says anything else, or nothing.
    pub async fn pve_terminal(mut line: impl Line + 'static, hello: &Secret<String>) -> Result<Self> {
        let refused =
            || Error::unavailable("Proxmox refused the terminal. Proxmox VE before 9.1 lets no API token use it.");
        let greeting = async {
            line.write_all(hello.expose().as_bytes()).await?;
            let mut answer = [0; 2];
            line.read_exact(&mut answer).await?;
            Ok::<_, io::Error>(answer)
        };
        match tokio::time::timeout(GREETING, greeting).await {
            Ok(Ok(answer)) if &answer == b"OK" => {
                Ok(Self { line: Box::new(line), framing: Framing::PveTerminal, link: None })
            }
            _ => Err(refused()),
        }
    }

    pub fn split(self) -> (ConsoleReader, ConsoleWriter) {
        let (reader, writer) = tokio::io::split(self.line);
        let link = self.link.clone();
        (ConsoleReader { line: reader, link }, ConsoleWriter { line: writer, framing: self.framing, link: self.link })
    }
}

/// Whether a line ended because the connection to the machine's host did.
async fn is_cut(link: Option<&Arc<SshSession>>) -> bool {
    let Some(link) = link else { return false };
    tokio::time::sleep(MOMENT).await;
    link.is_closed()
}

/// What the machine says.
pub struct ConsoleReader {
    line: ReadHalf<Box<dyn Line>>,
    link: Option<Arc<SshSession>>,
}

impl ConsoleReader {
    /// Reads some bytes; 0 at the end.
    ///
    /// # Errors
    /// The line broke.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.line.read(buffer).await
    }

    /// After the end: it was the way to the host that broke, not the machine that hung up.
    pub async fn is_cut(&mut self) -> bool {
        is_cut(self.link.as_ref()).await
    }
}

/// What the person says.
pub struct ConsoleWriter {
    line: WriteHalf<Box<dyn Line>>,
    framing: Framing,
    link: Option<Arc<SshSession>>,
}

impl ConsoleWriter {
    /// As [`ConsoleReader::is_cut`].
    pub async fn is_cut(&mut self) -> bool {
        is_cut(self.link.as_ref()).await
    }

    /// Keys, or what a viewer sends.
    ///
    /// # Errors
    /// The line broke.
    pub async fn input(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.framing {
            Framing::Plain => self.line.write_all(bytes).await,
            Framing::PveTerminal => {
                for piece in bytes.chunks(PIECE) {
                    let mut frame = format!("0:{}:", piece.len()).into_bytes();
                    frame.extend(piece);
                    self.line.write_all(&frame).await?;
                }
                Ok(())
            }
        }
    }

    /// The window of a terminal has another size. A screen has its own.
    ///
    /// # Errors
    /// The line broke.
    pub async fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        match self.framing {
            Framing::Plain => Ok(()),
            Framing::PveTerminal => self.line.write_all(format!("1:{columns}:{rows}:").as_bytes()).await,
        }
    }

    /// A keep-alive: Proxmox closes a terminal that is silent for long.
    ///
    /// # Errors
    /// The line broke.
    pub async fn keep_alive(&mut self) -> io::Result<()> {
        match self.framing {
            Framing::Plain => Ok(()),
            Framing::PveTerminal => self.line.write_all(b"2").await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_terminal_is_greeted_and_its_input_is_wrapped() {
        let (ours, mut proxmox) = tokio::io::duplex(1024);
        let server = tokio::spawn(async move {
            let mut hello = [0; 7];
            proxmox.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"u@r:t!\n");
            proxmox.write_all(b"OKhi").await.unwrap();
            let mut said = vec![0; 16];
            proxmox.read_exact(&mut said).await.unwrap();
            said
        });
        let stream = ConsoleStream::pve_terminal(ours, &Secret::new("u@r:t!\n".to_owned())).await.unwrap();
        let (mut reader, mut writer) = stream.split();
        let mut buffer = [0; 10];
        assert_eq!(reader.read(&mut buffer).await.unwrap(), 2);
        assert_eq!(&buffer[..2], b"hi", "what comes behind OK is output");
        writer.input("ls\r".as_bytes()).await.unwrap();
        writer.resize(80, 24).await.unwrap();
        writer.keep_alive().await.unwrap();
        drop(writer);
        assert_eq!(server.await.unwrap(), b"0:3:ls\r1:80:24:2");
    }

    #[tokio::test]
    async fn a_terminal_that_says_no_is_refused_with_a_sentence() {
        let (ours, mut proxmox) = tokio::io::duplex(1024);
        tokio::spawn(async move {
            let mut hello = [0; 2];
            proxmox.read_exact(&mut hello).await.unwrap();
            proxmox.write_all(b"no").await.unwrap();
        });
        let refused = ConsoleStream::pve_terminal(ours, &Secret::new("x\n".to_owned())).await.err().unwrap();
        assert!(refused.message().contains("refused the terminal"));
    }
}
