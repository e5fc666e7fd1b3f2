//! Tables that fit the terminal.

use super::super::say::say;
use super::{Common, terminal};
use base::Timestamp;
use serde::Serialize;
use std::fmt::Display;

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
    pub fn text(text: impl Display) -> Self {
        Self { text: plain(&text.to_string()), ..Self::default() }
    }

    /// Empty for nothing.
    pub fn maybe(text: Option<impl Display>) -> Self {
        text.map_or_else(Self::default, Self::text)
    }

    /// Numbers are right-aligned.
    pub fn number(text: impl Display) -> Self {
        Self::text(text).right()
    }

    pub fn right(self) -> Self {
        Self { right: true, ..self }
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
    text.chars().map(|c| if base::text::is_hidden(c) { ' ' } else { c }).collect()
}

/// How wide and colourful it may be.
#[derive(Clone, Copy, Debug)]
pub struct TableStyle {
    pub width: Option<usize>,
    pub colour: bool,
}

impl TableStyle {
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
pub fn draw(heads: &[&str], rows: &[Vec<Cell>], look: TableStyle) -> String {
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

/// What is one line of a table.
pub trait Row {
    const HEADS: &'static [&'static str];

    fn cells(&self) -> Vec<Cell>;
}

/// A list as a table, or the sentence that there is nothing.
pub fn rows<T: Row>(all: &[T], nothing: &str) {
    print(T::HEADS, &all.iter().map(T::cells).collect::<Vec<_>>(), nothing);
}

/// The same, or JSON where that is wanted.
pub fn list<T: Row + Serialize>(common: &Common, all: &[T], nothing: &str) {
    if !common.prints(&all) {
        rows(all, nothing);
    }
}

pub fn print(heads: &[&str], rows: &[Vec<Cell>], nothing: &str) {
    if rows.is_empty() { say(nothing) } else { say(&draw(heads, rows, TableStyle::here())) }
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

/// A word as the API writes it.
pub fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What the API answered, for programs.
pub fn json(value: &impl Serialize) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// As this computer's clock shows it.
pub fn time(t: Timestamp) -> String {
    t.to_utc().with_timezone(&chrono::Local).format("%Y-%m-%d %H:%M:%S").to_string()
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
        let text = draw(&heads, &rows, TableStyle { width: None, colour: false });
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
        let text = draw(&heads, &rows, TableStyle { width: Some(24), colour: false });
        assert!(text.lines().all(|l| l.chars().count() <= 24), "{text}");
        assert!(text.contains('…'), "{text}");
    }

    #[test]
    fn colours_are_there_only_when_asked_for_and_names_bring_none() {
        let (heads, mut rows) = sample();
        rows[0][0] = Cell::text("\x1b[31mred\x1b[0m");
        let text = draw(&heads, &rows, TableStyle { width: None, colour: false });
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(draw(&heads, &rows, TableStyle { width: None, colour: true }).contains("\x1b[32mrunning\x1b[0m"));
    }
}
