//! What a machine's screen shows: a clock, a bar that moves, what was typed, where the pointer is.

use super::font;
use crate::world::World;
use base::Timestamp;

pub const WIDTH: u16 = 480;
pub const HEIGHT: u16 = 288;

const PAPER: [u8; 3] = [16, 24, 32];
const INK: [u8; 3] = [208, 220, 228];
const SOFT: [u8; 3] = [120, 140, 152];
const BAR: [u8; 3] = [76, 195, 203];
const POINTER: [u8; 3] = [240, 182, 95];
/// Where typed lines begin, and how many are kept on the screen.
const TYPED_FROM: usize = 152;
const LINES: usize = 6;
const COLUMNS: usize = 38;

/// Colours row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture(Vec<[u8; 3]>);

impl Picture {
    pub fn draw(world: &World, vmid: u32) -> Self {
        let now = world.now();
        let (title, paused) = world.read(|c| {
            let Some(g) = c.guests.get(&vmid) else { return (String::new(), false) };
            (format!("{}  {vmid} on {}", g.name(), g.node), g.run.as_ref().is_some_and(|r| r.paused))
        });
        let memory = world.desk.memory(vmid);
        let mut picture = Self(vec![PAPER; usize::from(WIDTH) * usize::from(HEIGHT)]);
        picture.text(16, 16, 2, SOFT, &title);
        // A paused machine shows what it showed when it was paused; here: a clock that stands.
        let seconds = if paused { 0 } else { now.div_euclid(1000) };
        picture.text(16, 48, 3, INK, &clock(seconds));
        let place = if paused { 0 } else { usize::try_from(now.rem_euclid(4000) / 10).unwrap_or(0) };
        picture.fill(16 + place, 88, 48, 12, BAR);
        picture.text(16, 116, 2, SOFT, &format!("Ctrl-Alt-Del: {}", memory.ctrl_alt_del));
        for (n, line) in last_lines(&format!("login: {}_", memory.typed)).iter().enumerate() {
            picture.text(16, TYPED_FROM + n * 20, 2, INK, line);
        }
        let (x, y) = (usize::from(memory.pointer.0), usize::from(memory.pointer.1));
        picture.fill(x.saturating_sub(4), y, 9, 1, POINTER);
        picture.fill(x, y.saturating_sub(4), 1, 9, POINTER);
        picture
    }

    /// The colours of some rows, cut at the lower edge.
    pub fn rows(&self, y: u16, height: u16) -> &[[u8; 3]] {
        let end = HEIGHT.min(y + height);
        &self.0[usize::from(y) * usize::from(WIDTH)..usize::from(end) * usize::from(WIDTH)]
    }

    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: [u8; 3]) {
        let (right, bottom) = ((x + width).min(usize::from(WIDTH)), (y + height).min(usize::from(HEIGHT)));
        for row in y..bottom {
            let start = row * usize::from(WIDTH);
            if x < right {
                self.0[start + x..start + right].fill(colour);
            }
        }
    }

    fn text(&mut self, x: usize, y: usize, scale: usize, colour: [u8; 3], text: &str) {
        for (n, c) in text.chars().enumerate() {
            for (column, bits) in font::glyph(c).iter().enumerate() {
                for row in (0..8).filter(|row| bits >> row & 1 == 1) {
                    self.fill(x + (n * 6 + column) * scale, y + row * scale, scale, scale, colour);
                }
            }
        }
    }
}

/// `2026-11-21 14:05:09`, in UTC.
fn clock(seconds: i64) -> String {
    let text = Timestamp::from_secs(seconds).to_string();
    text.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// The text broken into lines as wide as the screen; only the last ones.
fn last_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let all: Vec<char> = line.chars().collect();
        if all.is_empty() {
            lines.push(String::new());
        }
        lines.extend(all.chunks(COLUMNS).map(|c| c.iter().collect::<String>()));
    }
    lines.split_off(lines.len().saturating_sub(LINES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_lines_of_what_was_typed_are_shown() {
        assert_eq!(last_lines("a\n\nb"), ["a", "", "b"]);
        let many = last_lines(&"x\n".repeat(10));
        assert_eq!(many.len(), LINES);
        assert_eq!(last_lines(&"y".repeat(COLUMNS + 2)), ["y".repeat(COLUMNS), "yy".to_owned()]);
    }

    #[test]
    fn the_clock_has_date_and_time() {
        assert_eq!(clock(1_795_269_909), "2026-11-21 14:05:09");
    }
}
