//! Beside the house: the files that are built into the program. Only the roof knows it, so that a changed script
//! or style compiles nothing else anew.

use base::files::Files;
use rust_embed::RustEmbed;
use std::borrow::Cow;

/// Made by build.rs from assets/: scripts, styles and pictures for browsers.
#[derive(RustEmbed)]
#[folder = "../../assets/dist"]
#[exclude = "sources.txt"]
struct Assets;

#[derive(RustEmbed)]
#[folder = "../../plugins"]
#[include = "*/*.rhai"]
#[include = "*/*.toml"]
struct Plugins;

/// What is built in, for the parts that use it.
pub const FILES: base::files::BuiltIn = base::files::BuiltIn { assets: files::<Assets>(), plugins: files::<Plugins>() };

const fn files<T: RustEmbed>() -> Files {
    Files { get: get::<T>, names: names::<T> }
}

fn get<T: RustEmbed>(name: &str) -> Option<Cow<'static, [u8]>> {
    T::get(name).map(|file| file.data)
}

fn names<T: RustEmbed>() -> Vec<String> {
    T::iter().map(|name| name.into_owned()).collect()
}
