fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A file that is added later is embedded too.
    println!("cargo:rerun-if-changed=plugins");
}
