//! Files that are built into the program, as the floors see them: the roof hands them in.

use std::borrow::Cow;

/// A folder of files, by their path in it (`proxmox/main.rhai`).
#[derive(Clone, Copy, Debug)]
pub struct Files {
    pub get: fn(&str) -> Option<Cow<'static, [u8]>>,
    pub names: fn() -> Vec<String>,
}

/// An empty folder.
impl Default for Files {
    fn default() -> Self {
        Self { get: |_| None, names: Vec::new }
    }
}

impl Files {
    pub fn get(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        (self.get)(name)
    }

    pub fn names(&self) -> Vec<String> {
        (self.names)()
    }
}

/// All that is built in.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltIn {
    /// What browsers get: `manifest.json` and the files that it names.
    pub assets: Files,
    /// The plugins, as `name/file`.
    pub plugins: Files,
}
