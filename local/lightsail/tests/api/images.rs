//! Images that run, made without a builder: a program in `tests/images` and the files a test needs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// The program of the images.
pub fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/app.rs");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("app-{}", std::process::id()));
        let compiled = Command::new(std::env::var_os("RUSTC").map_or("rustc".into(), PathBuf::from))
            .args(["--edition", "2024", "-C", "target-feature=+crt-static", "-C", "strip=symbols", "-o"])
            .args([&program, &source])
            .status()
            .expect("rustc can be started");
        assert!(compiled.success(), "rustc cannot link {} statically", source.display());
        let content = std::fs::read(&program).expect("a program");
        std::fs::remove_file(&program).expect("the program is there");
        content
    })
}

/// A layer with the program and its version.
pub fn app(version: &str) -> Vec<u8> {
    Layer::new().file("app", 0o755, program()).file("version", 0o644, version.as_bytes()).compressed()
}

/// A layer in the making.
pub struct Layer(Builder<Vec<u8>>);

impl Layer {
    pub fn new() -> Self {
        Layer(Builder::new(Vec::new()))
    }

    pub fn file(self, path: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, path, mode, "", content)
    }

    pub fn folder(self, path: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, path, mode, "", b"")
    }

    pub fn symlink(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, path, 0o777, target, b"")
    }

    pub fn link(self, path: &str, target: &str) -> Self {
        self.entry(EntryType::Link, path, 0o644, target, b"")
    }

    pub fn device(self, path: &str) -> Self {
        self.entry(EntryType::Block, path, 0o666, "", b"")
    }

    pub fn plain(self) -> Vec<u8> {
        self.0.into_inner().expect("a tar archive")
    }

    pub fn compressed(self) -> Vec<u8> {
        let mut compressed = GzEncoder::new(Vec::new(), Compression::fast());
        compressed.write_all(&self.plain()).expect("memory");
        compressed.finish().expect("memory")
    }

    /// Writes names into the header as they are, also those that the library refuses.
    fn entry(mut self, kind: EntryType, path: &str, mode: u32, target: &str, content: &[u8]) -> Self {
        let mut header = Header::new_ustar();
        let raw = header.as_old_mut();
        raw.name[..path.len()].copy_from_slice(path.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1);
        header.set_cksum();
        self.0.append(&header, content).expect("memory");
        self
    }
}
