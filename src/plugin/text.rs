//! A plugin's script: all its `*.rhai` files as one text, and from a line of it back to the file.

use super::source::Files;
use model::plugins::ScriptError;

/// The file that every plugin has; it comes first.
pub(super) const MAIN: &str = "main.rhai";
/// Only there for `plugin check`; it comes last.
pub(super) const TESTS: &str = "tests.rhai";

/// The files one after the other. They share one scope, as if they were one file: Rhai's own modules would
/// need an import in each and a name before each call.
#[derive(Debug, Default)]
pub(super) struct Text {
    whole: String,
    /// The first line of each file, counted from 1, in rising order.
    files: Vec<(usize, String)>,
}

impl Text {
    /// `main.rhai`, then the others by name; `tests.rhai` is not among them.
    pub fn of(files: &Files) -> Self {
        let mut text = Self::default();
        if let Some(main) = files.get(MAIN) {
            text.add(MAIN, main);
        }
        for (name, content) in files {
            if name.ends_with(".rhai") && name != MAIN && name != TESTS {
                text.add(name, content);
            }
        }
        text
    }

    pub fn add(&mut self, name: &str, content: &str) {
        if !self.whole.is_empty() && !self.whole.ends_with('\n') {
            self.whole.push('\n');
        }
        self.files.push((self.whole.lines().count() + 1, name.to_owned()));
        self.whole.push_str(content);
    }

    pub fn whole(&self) -> &str {
        &self.whole
    }

    /// The error with the file it is in, and its line there. One without a line is about the whole.
    pub fn place(&self, error: ScriptError, plugin: &str) -> ScriptError {
        let found = self.files.iter().rev().find(|(first, _)| *first <= error.line);
        let (first, file) = found.map_or((1, MAIN), |(first, file)| (*first, file.as_str()));
        let line = if error.line == 0 { 0 } else { error.line - first + 1 };
        ScriptError { file: format!("{plugin}/{file}"), line, ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_whole_leads_back_to_its_file() {
        let files =
            [("a.rhai", "fn a() {}\n\n"), ("main.rhai", "fn m() {}"), ("tests.rhai", "x"), ("plugin.toml", "y")];
        let mut text = Text::of(&files.into_iter().map(|(n, t)| (n.to_owned(), t.to_owned())).collect());
        text.add(TESTS, "fn test_it() {}");
        assert_eq!(text.whole(), "fn m() {}\nfn a() {}\n\nfn test_it() {}");
        let at = |line| {
            let error = ScriptError { file: String::new(), line, column: 1, message: String::new() };
            let placed = text.place(error, "p");
            (placed.file, placed.line)
        };
        assert_eq!(at(1), ("p/main.rhai".to_owned(), 1));
        assert_eq!(at(3), ("p/a.rhai".to_owned(), 2));
        assert_eq!(at(4), ("p/tests.rhai".to_owned(), 1));
        assert_eq!(at(0), ("p/main.rhai".to_owned(), 0));
    }
}
