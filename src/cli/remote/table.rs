//! Tables that fit the terminal, and amounts as people read them.

use super::super::say::say;
use super::terminal;
use serde_json::Value;

/// How a value is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    None,
    Good,
    Busy,
    Bad,
    Dim,
}

/// One field.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    right: bool,
    tone: Tone,
}

impl Cell {
    pub fn text(text: impl AsRef<str>) -> Self {
        Self { text: plain(text.as_ref()), ..Self::default() }
    }

    /// Numbers stand at the right.
    pub fn number(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    pub fn tone(self, tone: Tone) -> Self {
        Self { tone, ..self }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// A word for a state with its tone.
pub fn state(word: &str) -> Cell {
    let tone = match word {
        "running" | "online" | "succeeded" | "done" | "yes" => Tone::Good,
        "failed" | "offline" | "io-error" | "internal-error" => Tone::Bad,
        "queued" | "waiting" | "undoing" | "creating" | "paused" | "suspended" | "prelaunch" => Tone::Busy,
        "stopped" | "cancelled" | "discarded" | "unknown" => Tone::Dim,
        _ => Tone::None,
    };
    Cell::text(word).tone(tone)
}

/// Without control characters: a name must not move the cursor or colour the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How wide and colourful it may be.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: Option<usize>,
    pub colour: bool,
}

impl Look {
    pub fn here() -> Self {
        Self { width: terminal::width(), colour: terminal::colour() }
    }
}

/// No column gets narrower than this.
const NARROWEST: usize = 6;
const GAP: usize = 2;

fn length(text: &str) -> usize {
    text.chars().count()
}

fn widths(heads: &[&str], rows: &[Vec<Cell>], most: Option<usize>) -> Vec<usize> {
    let mut widths: Vec<usize> = heads.iter().map(|h| length(h)).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(length(&cell.text));
        }
    }
    let Some(most) = most else { return widths };
    let gaps = GAP * heads.len().saturating_sub(1);
    // The widest gives way first.
    while widths.iter().sum::<usize>() + gaps > most {
        match widths.iter_mut().max() {
            Some(w) if *w > NARROWEST => *w -= 1,
            _ => break,
        }
    }
    widths
}

fn fit(text: &str, width: usize) -> String {
    if length(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn painted(text: &str, tone: Tone) -> String {
    let code = match tone {
        Tone::None => return text.to_owned(),
        Tone::Good => "32",
        Tone::Busy => "33",
        Tone::Bad => "31",
        Tone::Dim => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// The whole table as text.
pub fn draw(heads: &[&str], rows: &[Vec<Cell>], look: Look) -> String {
    let widths = widths(heads, rows, look.width);
    let rights: Vec<bool> = (0..heads.len()).map(|n| rows.iter().any(|r| r.get(n).is_some_and(|c| c.right))).collect();
    let line = |cells: Vec<(String, Tone)>| {
        let mut out = String::new();
        for (n, (text, tone)) in cells.iter().enumerate() {
            let width = widths.get(n).copied().unwrap_or_default();
            let text = fit(text, width);
            let room = " ".repeat(width.saturating_sub(length(&text)));
            let text = if look.colour { painted(&text, *tone) } else { text };
            if n > 0 {
                out.push_str("  ");
            }
            if rights.get(n) == Some(&true) {
                out.push_str(&room);
                out.push_str(&text);
            } else {
                out.push_str(&text);
                if n + 1 < cells.len() {
                    out.push_str(&room);
                }
            }
        }
        out.trim_end().to_owned()
    };
    let head = line(heads.iter().map(|h| (h.to_uppercase(), Tone::Dim)).collect());
    let body = rows.iter().map(|row| line(row.iter().map(|c| (c.text.clone(), c.tone)).collect()));
    std::iter::once(head).chain(body).collect::<Vec<_>>().join("\n")
}

/// A list, or the sentence that there is nothing.
pub fn print(heads: &[&str], rows: &[Vec<Cell>], nothing: &str) {
    if rows.is_empty() { say(nothing) } else { say(&draw(heads, rows, Look::here())) }
}

/// One thing: a word and its value a line.
pub fn facts(rows: &[(&str, Cell)]) {
    let wide = rows.iter().map(|(word, _)| length(word)).max().unwrap_or_default();
    let colour = terminal::colour();
    let line = |(word, cell): &(&str, Cell)| {
        let value = if colour { painted(&cell.text, cell.tone) } else { cell.text.clone() };
        format!("{word:<wide$}  {value}")
    };
    say(&rows.iter().map(line).collect::<Vec<_>>().join("\n"));
}

/// What the API answered, for programs.
pub fn json(value: &Value) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// `1.5 GiB`; three figures at most.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    #[expect(clippy::cast_precision_loss, reason = "three figures are shown")]
    let mut amount = count as f64;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0 && amount < 100.0);
    let number = format!("{amount:.decimals$}");
    format!("{} {}", number.strip_suffix(".0").unwrap_or(&number), UNITS[unit])
}

/// `3 d 4 h`, `12 min`, `40 s`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0 => String::new(),
        s if s < 60 => format!("{s} s"),
        s if s < 3600 => format!("{} min", s / 60),
        s if s < 86_400 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        s => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// A share of 1 as per cent.
pub fn share(part: f64) -> String {
    format!("{:.0} %", part * 100.0)
}

/// RFC 3339 as this computer's clock shows it; what can't be read stays.
pub fn time(text: &str) -> String {
    let parsed = chrono::DateTime::parse_from_rfc3339(text);
    parsed.map_or_else(|_| text.to_owned(), |t| t.with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> (Vec<&'static str>, Vec<Vec<Cell>>) {
        let row = |name: &str, word: &str, cpu: &str| vec![Cell::text(name), state(word), Cell::number(cpu)];
        (
            vec!["name", "state", "cpu"],
            vec![row("web-01", "running", "7 %"), row("a-long-machine-name", "stopped", "0 %")],
        )
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let (heads, rows) = sample();
        let text = draw(&heads, &rows, Look { width: None, colour: false });
        assert_eq!(
            text,
            "NAME                 STATE    CPU\n\
             web-01               running  7 %\n\
             a-long-machine-name  stopped  0 %"
        );
    }

    #[test]
    fn a_table_fits_the_terminal_and_says_where_it_was_cut() {
        let (heads, rows) = sample();
        let text = draw(&heads, &rows, Look { width: Some(24), colour: false });
        assert!(text.lines().all(|l| l.chars().count() <= 24), "{text}");
        assert!(text.contains('…'), "{text}");
    }

    #[test]
    fn colours_are_there_only_when_asked_for_and_names_bring_none() {
        let (heads, mut rows) = sample();
        rows[0][0] = Cell::text("\x1b[31mred\x1b[0m");
        let text = draw(&heads, &rows, Look { width: None, colour: false });
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(draw(&heads, &rows, Look { width: None, colour: true }).contains("\x1b[32mrunning\x1b[0m"));
    }

    #[test]
    fn amounts_are_read_by_people() {
        assert_eq!(bytes((16 << 30) - (20 << 20)), "16 GiB");
        assert_eq!(
            (bytes(0), bytes(1536), bytes(2 << 30), bytes(1 << 40)),
            ("0 B".into(), "1.5 KiB".into(), "2 GiB".into(), "1 TiB".into())
        );
        assert_eq!((span(40), span(720), span(90_000)), ("40 s".into(), "12 min".into(), "1 d 1 h".into()));
        assert_eq!(share(0.074), "7 %");
    }
}
