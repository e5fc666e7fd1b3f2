//! From a stream of bytes to lines for people: progress bars collapsed, escapes and control characters left out.

/// Bytes of one line; anything longer continues in the next.
const LONGEST: usize = 2_000;

/// Cuts a stream into lines. A carriage return restarts the line, so a progress bar leaves only its last state.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    /// A carriage return came; the next byte that is not a line feed restarts the line.
    returned: bool,
}

impl Lines {
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(&mut each),
                b'\r' => self.returned = true,
                _ => {
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                    }
                    self.line.push(*byte);
                    if self.line.len() >= LONGEST {
                        self.end(&mut each);
                    }
                }
            }
        }
    }

    /// The last line, which may have no end.
    pub fn finish(&mut self, mut each: impl FnMut(&str)) {
        if !self.line.is_empty() {
            self.end(&mut each);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str)) {
        self.returned = false;
        let line = std::mem::take(&mut self.line);
        each(plain(&String::from_utf8_lossy(&line)).trim_end());
    }
}

/// Without ANSI escape sequences and control characters; a tab becomes a space.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // CSI: parameters, then one final byte; OSC: to its end mark.
                Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                Some(']') => while chars.next().is_some_and(|c| c != '\u{7}' && c != '\u{1b}') {},
                _ => {}
            },
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&str]) -> Vec<String> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for part in parts {
            lines.push(part.as_bytes(), |l| out.push(l.to_owned()));
        }
        lines.finish(|l| out.push(l.to_owned()));
        out
    }

    #[test]
    fn lines_may_come_in_pieces_and_with_either_end() {
        assert_eq!(lines(&["one\ntw", "o\r", "\nthree"]), ["one", "two", "three"]);
    }

    #[test]
    fn a_progress_bar_leaves_its_last_state() {
        assert_eq!(lines(&["10%\r20%\r", "100%\nnext\n"]), ["100%", "next"]);
    }

    #[test]
    fn colours_and_control_characters_are_left_out() {
        assert_eq!(lines(&["\u{1b}[1;32mok\u{1b}[0m\u{7} done\tx\u{1b}]0;title\u{7}y\n"]), ["ok done xy"]);
    }

    #[test]
    fn an_endless_line_is_cut_into_pieces() {
        assert_eq!(
            lines(&["x".repeat(5_000).as_str()]).iter().map(String::len).collect::<Vec<_>>(),
            [2_000, 2_000, 1_000]
        );
    }
}
