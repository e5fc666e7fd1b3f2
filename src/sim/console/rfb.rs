//! A small VNC server (RFC 6143): version 3.8, VNC authentication, raw rectangles in 32 bits per pixel.

use super::picture::{HEIGHT, Picture, WIDTH};
use crate::state::Guest;
use crate::world::World;
use base::random;
use des::Des;
use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How often the picture is looked at for changes.
const TICK: Duration = Duration::from_millis(200);
/// Changed rows are sent in bands of this height.
const BAND: u16 = 16;
/// The longest clipboard text that is read.
const CLIPBOARD: u32 = 64 * 1024;

const CONTROL: [u32; 2] = [0xFFE3, 0xFFE4];
const ALT: [u32; 2] = [0xFFE9, 0xFFEA];
const DELETE: u32 = 0xFFFF;
const RETURN: u32 = 0xFF0D;
const BACKSPACE: u32 = 0xFF08;

fn wrong(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// What VNC authentication answers to a challenge (section 7.2.2): DES with the password's first eight
/// bytes, the bits of each byte in reverse.
pub fn response(password: &str, challenge: &[u8; 16]) -> [u8; 16] {
    let mut key = [0_u8; 8];
    for (to, from) in key.iter_mut().zip(password.bytes()) {
        *to = from.reverse_bits();
    }
    let cipher = Des::new(&key.into());
    let mut out = [0_u8; 16];
    for (to, from) in out.chunks_exact_mut(8).zip(challenge.chunks_exact(8)) {
        let mut block = [0_u8; 8];
        block.copy_from_slice(from);
        let mut block = block.into();
        cipher.encrypt_block(&mut block);
        to.copy_from_slice(&block);
    }
    out
}

/// The client's order of colours in a 32-bit pixel.
#[derive(Clone, Copy)]
struct Format {
    red: u8,
    green: u8,
    blue: u8,
    big_endian: bool,
}

impl Format {
    const OURS: Self = Self { red: 16, green: 8, blue: 0, big_endian: false };

    /// Reads the 16 bytes of a pixel format; only true colour with 32 bits and 255 steps is spoken here.
    fn read(bytes: &[u8; 16]) -> io::Result<Self> {
        let [bits, _, big_endian, true_colour, r0, r1, g0, g1, b0, b1, red, green, blue, ..] = *bytes;
        let steps = [[r0, r1], [g0, g1], [b0, b1]].map(u16::from_be_bytes);
        if bits != 32 || true_colour == 0 || steps != [255; 3] || [red, green, blue].iter().any(|s| *s > 24) {
            return Err(wrong("this pixel format is not simulated"));
        }
        Ok(Self { red, green, blue, big_endian: big_endian != 0 })
    }

    fn pixel(self, [r, g, b]: [u8; 3]) -> [u8; 4] {
        let value = u32::from(r) << self.red | u32::from(g) << self.green | u32::from(b) << self.blue;
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

/// Speaks with one viewer until it goes.
pub async fn serve<S>(world: &Arc<World>, vmid: u32, line: S, password: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut reader, mut writer) = tokio::io::split(line);
    greet(&mut reader, &mut writer, password).await?;
    let name = world.read(|c| c.guests.get(&vmid).map(Guest::name)).unwrap_or_default();
    writer.write_all(&server_init(&name)).await?;
    let mut viewer = Viewer { world, vmid, format: Format::OURS, shown: None, wanted: false, down: BTreeSet::new() };
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            // Only the first byte is awaited here: what follows it is read to its end, whatever else is due.
            kind = reader.read_u8() => viewer.message(kind?, &mut reader).await?,
            _ = tick.tick() => {}
        }
        if viewer.wanted {
            let update = viewer.update();
            if !update.is_empty() {
                writer.write_all(&update).await?;
                viewer.wanted = false;
            }
        }
    }
}

async fn greet<R, W>(reader: &mut R, writer: &mut W, password: &str) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    writer.write_all(b"RFB 003.008\n").await?;
    let mut version = [0; 12];
    reader.read_exact(&mut version).await?;
    if &version != b"RFB 003.008\n" {
        return Err(wrong("only version 3.8 is simulated"));
    }
    // One kind of security: VNC authentication.
    writer.write_all(&[1, 2]).await?;
    if reader.read_u8().await? != 2 {
        return Err(wrong("the viewer chose another security"));
    }
    let challenge = random::bytes::<16>();
    writer.write_all(&challenge).await?;
    let mut answer = [0; 16];
    reader.read_exact(&mut answer).await?;
    if answer != response(password, &challenge) {
        let reason = b"Authentication failed";
        writer.write_u32(1).await?;
        writer.write_u32(reason.len() as u32).await?;
        writer.write_all(reason).await?;
        return Err(wrong("wrong password"));
    }
    writer.write_u32(0).await?;
    // Shared or not makes no difference here.
    reader.read_u8().await?;
    Ok(())
}

fn server_init(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(WIDTH.to_be_bytes());
    out.extend(HEIGHT.to_be_bytes());
    out.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
    out.extend((name.len() as u32).to_be_bytes());
    out.extend(name.as_bytes());
    out
}

struct Viewer<'a> {
    world: &'a Arc<World>,
    vmid: u32,
    format: Format,
    /// The picture as the viewer has it.
    shown: Option<Picture>,
    /// The viewer waits for an update.
    wanted: bool,
    /// Keys that are held.
    down: BTreeSet<u32>,
}

impl Viewer<'_> {
    async fn message<R: AsyncRead + Unpin>(&mut self, kind: u8, reader: &mut R) -> io::Result<()> {
        match kind {
            0 => {
                let mut body = [0; 19];
                reader.read_exact(&mut body).await?;
                let mut format = [0; 16];
                format.copy_from_slice(&body[3..]);
                self.format = Format::read(&format)?;
                self.shown = None;
            }
            2 => {
                reader.read_u8().await?;
                // Every viewer takes raw rectangles, so the list does not matter.
                for _ in 0..reader.read_u16().await? {
                    reader.read_i32().await?;
                }
            }
            3 => {
                let mut body = [0; 9];
                reader.read_exact(&mut body).await?;
                if body[0] == 0 {
                    self.shown = None;
                }
                self.wanted = true;
            }
            4 => {
                let down = reader.read_u8().await? != 0;
                reader.read_u16().await?;
                self.key(down, reader.read_u32().await?);
            }
            5 => {
                reader.read_u8().await?;
                let at = (reader.read_u16().await?, reader.read_u16().await?);
                self.world.desk.remember(self.vmid, |m| m.pointer = at);
            }
            6 => {
                let mut padding = [0; 3];
                reader.read_exact(&mut padding).await?;
                let length = reader.read_u32().await?;
                if length > CLIPBOARD {
                    return Err(wrong("a clipboard too large"));
                }
                let mut text = vec![0; length as usize];
                reader.read_exact(&mut text).await?;
            }
            _ => return Err(wrong("a message that was not offered")),
        }
        Ok(())
    }

    fn key(&mut self, down: bool, key: u32) {
        if !down {
            self.down.remove(&key);
            return;
        }
        self.down.insert(key);
        let held = |keys: [u32; 2]| keys.iter().any(|k| self.down.contains(k));
        let chord = key == DELETE && held(CONTROL) && held(ALT);
        let typed = match key {
            _ if held(CONTROL) || held(ALT) => None,
            RETURN => Some('\n'),
            BACKSPACE => Some('\u{8}'),
            // Latin-1 keysyms are their own code points.
            0x20..=0x7E => char::from_u32(key),
            _ => None,
        };
        self.world.desk.remember(self.vmid, |m| {
            m.ctrl_alt_del += u32::from(chord);
            match typed {
                Some('\u{8}') => drop(m.typed.pop()),
                Some(c) => m.typed.push(c),
                None => {}
            }
        });
    }

    /// The bands that differ from what the viewer has, as one update; empty when there are none.
    fn update(&mut self) -> Vec<u8> {
        let now = Picture::draw(self.world, self.vmid);
        let bands: Vec<u16> = (0..HEIGHT.div_ceil(BAND))
            .map(|n| n * BAND)
            .filter(|y| self.shown.as_ref().is_none_or(|old| old.rows(*y, BAND) != now.rows(*y, BAND)))
            .collect();
        if bands.is_empty() {
            return Vec::new();
        }
        let mut out = vec![0, 0];
        out.extend((bands.len() as u16).to_be_bytes());
        for y in bands {
            let rows = now.rows(y, BAND);
            let height = BAND.min(HEIGHT - y);
            for number in [0, y, WIDTH, height] {
                out.extend(number.to_be_bytes());
            }
            out.extend(0_i32.to_be_bytes());
            for colour in rows {
                out.extend(self.format.pixel(*colour));
            }
        }
        self.shown = Some(now);
        out
    }
}
