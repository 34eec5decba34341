//! Links a program that has no Rust runtime: the C start-up code calls its `main`.

fn main() {
    println!("cargo:rustc-link-lib=c");
}
