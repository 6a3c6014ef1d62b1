//! Applying the layers of an image to a folder, without ever leaving it.
//!
//! The kernel resolves every path with the folder as its root (`openat2` with `RESOLVE_IN_ROOT`), so a symbolic
//! link leads nowhere else, wherever it points. A path with `..` is refused.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The prefix of whiteouts (OCI image specification, "Whiteouts").
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE_WHITEOUT: &[u8] = b".wh..wh..opq";
/// Where every container gets file systems of its own.
const MOUNT_POINTS: [&str; 3] = ["dev", "proc", "sys"];

/// A folder that becomes the root of an image.
pub struct Root(OwnedFd);

impl Root {
    /// Opens an existing folder.
    pub fn open(path: &Path) -> io::Result<Root> {
        Ok(Root(rustix::fs::openat(
            CWD,
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?))
    }

    /// Applies a layer, plain or compressed with gzip, on top of those before.
    ///
    /// # Errors
    /// A sentence part that names the entry which cannot be applied, and why. What was applied before stays.
    pub fn apply(&self, layer: impl Read) -> Result<(), String> {
        let mut layer = BufReader::with_capacity(1 << 16, layer);
        let start = layer.fill_buf().map_err(|error| error.to_string())?;
        if start.starts_with(&ZSTD) {
            return Err("it is compressed with zstd, which is not supported: push it with gzip".into());
        }
        if start.starts_with(&GZIP) {
            self.apply_tar(MultiGzDecoder::new(layer))
        } else {
            self.apply_tar(layer)
        }
    }

    /// Makes the folders that a container needs.
    ///
    /// # Errors
    /// A sentence part, when the image has something else in such a place.
    pub fn add_mount_points(&self) -> Result<(), String> {
        for name in MOUNT_POINTS {
            match rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {}
                Err(Errno::EXIST)
                    if matches!(self.kind(&self.0, OsStr::new(name)), Ok(Some(FileType::Directory))) => {}
                Err(Errno::EXIST) => return Err(format!("its /{name} is not a folder")),
                Err(error) => return Err(format!("its folder /{name} cannot be made: {error}")),
            }
        }
        Ok(())
    }

    /// The start of a file in the root, at most 1 MiB; `None` when there is none.
    pub fn read(&self, path: &str) -> io::Result<Option<String>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), inside()) {
            Ok(file) => {
                let mut content = Vec::new();
                File::from(file).take(1 << 20).read_to_end(&mut content)?;
                Ok(Some(String::from_utf8_lossy(&content).into_owned()))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn apply_tar(&self, layer: impl Read) -> Result<(), String> {
        let mut archive = Archive::new(layer);
        let mut applied = HashSet::new();
        let broken = |error: io::Error| format!("it is not a whole tar archive: {error}");
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let shown = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.apply_entry(&mut entry, &mut applied).map_err(|why| format!("its entry {shown:?} {why}"))?;
        }
        Ok(())
    }

    fn apply_entry(
        &self,
        entry: &mut Entry<'_, impl Read>,
        applied: &mut HashSet<PathBuf>,
    ) -> Result<(), String> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = inner_path(&entry.path_bytes())?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let parent = self.folder(folder).map_err(failed)?;
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) {
            return self
                .apply_whiteout(&parent, folder, name, OsStr::from_bytes(hidden), applied)
                .map_err(failed);
        }
        applied.extend(path.ancestors().map(Path::to_owned));
        let mode = entry.header().mode().map_err(|error| format!("has no good mode: {error}"))?;
        match kind {
            EntryType::Directory => self.make_folder(&parent, name, mode).map_err(failed),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.clear(&parent, name).map_err(failed)?;
                write_file(&parent, name, mode, entry).map_err(failed)
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or("is a link without a target")?;
                self.clear(&parent, name).map_err(failed)?;
                rustix::fs::symlinkat(OsStr::from_bytes(&target), &parent, name)
                    .map_err(|error| failed(error.into()))
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or("is a link without a target")?;
                let target = inner_path(&target)?;
                self.link(&target, &parent, name).map_err(failed)
            }
            EntryType::Fifo => {
                self.clear(&parent, name).map_err(failed)?;
                rustix::fs::mkfifoat(&parent, name, permissions(mode)).map_err(|error| failed(error.into()))
            }
            // Nobody without privileges can make a device; every container gets the usual ones.
            EntryType::Char | EntryType::Block => self.clear(&parent, name).map_err(failed),
            other => Err(format!("is of the unknown kind {:?}", other.as_byte() as char)),
        }
    }

    fn apply_whiteout(
        &self,
        parent: &OwnedFd,
        folder: &Path,
        name: &OsStr,
        hidden: &OsStr,
        applied: &HashSet<PathBuf>,
    ) -> io::Result<()> {
        if name.as_bytes() == OPAQUE_WHITEOUT {
            return self.prune(folder, applied);
        }
        let names_nothing =
            hidden.is_empty() || hidden == "." || hidden == ".." || hidden.as_bytes().starts_with(WHITEOUT);
        if names_nothing || applied.contains(&folder.join(hidden)) {
            return Ok(());
        }
        self.clear(parent, hidden)
    }

    /// Removes from a folder what this layer has not put there.
    fn prune(&self, folder: &Path, applied: &HashSet<PathBuf>) -> io::Result<()> {
        let opened = self.folder(folder)?;
        for name in names_in(&opened)? {
            let path = folder.join(&name);
            if !applied.contains(&path) {
                self.clear(&opened, &name)?;
            } else if self.kind(&opened, &name)? == Some(FileType::Directory) {
                self.prune(&path, applied)?;
            }
        }
        Ok(())
    }

    /// Opens a folder of the root, and makes it if it is missing.
    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let open = || {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat2(&self.0, path, flags, Mode::empty(), inside())
        };
        match (open(), path.parent(), path.file_name()) {
            (Err(Errno::NOENT), Some(parent), Some(name)) => {
                let parent = self.folder(parent)?;
                rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
                Ok(open()?)
            }
            (opened, ..) => Ok(opened?),
        }
    }

    fn make_folder(&self, parent: &OwnedFd, name: &OsStr, mode: u32) -> io::Result<()> {
        if self.kind(parent, name)? != Some(FileType::Directory) {
            self.clear(parent, name)?;
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o700))?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(parent, name, flags, Mode::empty())?;
        // Its owner must be able to put later layers there, and to remove it.
        Ok(rustix::fs::fchmod(folder, permissions(mode | 0o700))?)
    }

    fn link(&self, target: &Path, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let (Some(folder), Some(target)) = (target.parent(), target.file_name()) else {
            return Err(io::Error::other("the target is the root"));
        };
        let folder = self.folder(folder)?;
        self.clear(parent, name)?;
        Ok(rustix::fs::linkat(folder, target, parent, name, AtFlags::empty())?)
    }

    /// Removes what has that name, if something has, and whatever is in it.
    fn clear(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        match self.kind(parent, name)? {
            None => Ok(()),
            Some(FileType::Directory) => {
                let folder = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string());
                fs::remove_dir_all(folder.join(name))
            }
            Some(_) => Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?),
        }
    }

    fn kind(&self, parent: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
        match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(FileType::from_raw_mode(status.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn inside() -> ResolveFlags {
    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS
}

/// The path of an entry below the root; one that starts with a slash starts there.
fn inner_path(bytes: &[u8]) -> Result<PathBuf, String> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("leads out of the image by {:?}", String::from_utf8_lossy(bytes)));
            }
        }
    }
    Ok(path)
}

/// Permissions without set-user-ID and set-group-ID, which have no effect in a container here.
fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & 0o1777)
}

fn write_file(parent: &OwnedFd, name: &OsStr, mode: u32, entry: &mut Entry<'_, impl Read>) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600))?);
    io::copy(entry, &mut file)?;
    rustix::fs::fchmod(&file, permissions(mode))?;
    let modified = Timespec { tv_sec: entry.header().mtime()?.try_into().unwrap_or_default(), tv_nsec: 0 };
    Ok(rustix::fs::futimens(&file, &Timestamps { last_access: modified, last_modification: modified })?)
}

fn names_in(folder: &OwnedFd) -> io::Result<Vec<OsString>> {
    let path = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string());
    fs::read_dir(path)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn failed(error: io::Error) -> String {
    format!("cannot be unpacked: {error}")
}
