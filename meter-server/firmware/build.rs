//! Links a program that has no Rust runtime: the C start-up code calls its `main`.

fn main() {
    // A board has no C library; its size alone can be measured, see `README.md`.
    if std::env::var_os("CARGO_CFG_TARGET_OS").is_some_and(|os| os != "none") {
        println!("cargo:rustc-link-lib=c");
    }
}
