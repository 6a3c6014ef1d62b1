//! Images, unpacked once and kept in a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::ecr::{Ecr, Manifest};
use crate::image::{EcrImage, ImageReference};
use crate::processes::layer::Root;
use crate::pull::{self, Pulled};

const ROOTS: &str = "roots";
const UNPACKING: &str = "unpacking";
const SCRATCH: &str = "scratch";
const EMPTY: &str = "empty";
/// An image that nobody started for so long is removed when an emulator starts.
const KEPT_UNUSED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Whoever unpacks an image has locked it after this time.
const LOCKED_AT_THE_LATEST: Duration = Duration::from_secs(60);

/// The unpacked images of a folder, which several emulators may share.
pub struct Images {
    folder: PathBuf,
    ecr: Arc<Ecr>,
    /// What this emulator has unpacked or found, by the digest that was pulled.
    known: Mutex<BTreeMap<String, Arc<Image>>>,
}

/// An unpacked image. Nobody removes it for as long as this is held.
pub struct Image {
    /// Its root, in the folder of all images.
    pub root: PathBuf,
    pub configuration: Configuration,
    files: Root,
    _lock: File,
}

/// What an image says of how to run it (OCI image specification, "config").
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Configuration {
    pub entrypoint: Option<Vec<String>>,
    pub cmd: Option<Vec<String>>,
    pub env: Option<Vec<String>>,
    pub working_dir: Option<String>,
    pub user: Option<String>,
}

/// Who runs an image's program.
#[derive(Debug, PartialEq, Eq)]
pub struct User {
    pub user: u32,
    pub group: u32,
    pub home: String,
}

impl Images {
    /// Opens the folder, makes it if it is missing, and removes from it what nobody uses.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(folder: &Path, ecr: Arc<Ecr>) -> io::Result<Images> {
        for name in [ROOTS, UNPACKING, SCRATCH, EMPTY, "empty/dev", "empty/proc"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let folder = folder.canonicalize()?;
        remove_unused(&folder.join(UNPACKING), LOCKED_AT_THE_LATEST)?;
        remove_unused(&folder.join(ROOTS), KEPT_UNUSED)?;
        Ok(Images { folder, ecr, known: Mutex::default() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A folder in which a container's memory can be mounted, relative to that of the images.
    pub fn scratch(&self) -> PathBuf {
        SCRATCH.into()
    }

    /// A root without a program, relative to the folder of the images.
    pub fn empty_root(&self) -> PathBuf {
        EMPTY.into()
    }

    /// The image that was pulled, unpacked.
    ///
    /// # Errors
    /// A sentence that says why it cannot be had.
    pub async fn unpacked(&self, pulled: &Pulled) -> Result<Arc<Image>, String> {
        let digest = pulled.digest.as_deref().unwrap_or_default();
        let Some(ImageReference::Ecr(reference)) = ImageReference::parse(&pulled.image) else {
            return Err(format!("{} is not in ECR; no other image is started for real.", pulled.image));
        };
        let mut known = self.known.lock().await;
        if let Some(image) = known.get(digest) {
            return Ok(image.clone());
        }
        let manifest = pull::for_platform(&self.ecr, &reference, digest).await?;
        let name = manifest.digest.replace(':', "-");
        let image = match self.find(&name) {
            Some(image) => image,
            None => {
                let unpacking = Unpacking::start(&self.folder.join(UNPACKING)).map_err(not_kept)?;
                self.unpack(&reference, &manifest, &unpacking).await?;
                unpacking.finish(&self.folder.join(ROOTS).join(&name)).map_err(not_kept)?;
                self.find(&name).ok_or_else(|| format!("The image {digest} was unpacked, and is gone."))?
            }
        };
        let image = Arc::new(image);
        known.insert(digest.to_owned(), image.clone());
        Ok(image)
    }

    fn find(&self, name: &str) -> Option<Image> {
        let folder = self.folder.join(ROOTS).join(name);
        let lock = File::open(&folder).ok()?;
        rustix::fs::flock(&lock, FlockOperation::LockShared).ok()?;
        let configuration: Value =
            serde_json::from_slice(&fs::read(folder.join("config.json")).ok()?).ok()?;
        let files = Root::open(&folder.join("root")).ok()?;
        // Another user's image is as good; only that user removes it.
        let _ = lock.set_modified(SystemTime::now());
        Some(Image {
            root: Path::new(ROOTS).join(name).join("root"),
            configuration: serde_json::from_value(configuration["config"].clone()).unwrap_or_default(),
            files,
            _lock: lock,
        })
    }

    async fn unpack(&self, image: &EcrImage, manifest: &Manifest, to: &Unpacking) -> Result<(), String> {
        let digest_of = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
        let root = to.folder.join("root");
        fs::create_dir(&root).map_err(not_kept)?;
        let root = Arc::new(Root::open(&root).map_err(not_kept)?);
        for layer in manifest.body["layers"].as_array().into_iter().flatten() {
            let digest = digest_of(layer);
            let path = to.folder.join("layer");
            self.ecr.download(image, &digest, &path).await?;
            let (root, file) = (root.clone(), File::open(&path).map_err(not_kept)?);
            let applied = tokio::task::spawn_blocking(move || root.apply(file)).await;
            applied
                .map_err(|error| error.to_string())
                .flatten()
                .map_err(|why| format!("The image's layer {digest} cannot be unpacked: {why}."))?;
            fs::remove_file(&path).map_err(not_kept)?;
        }
        root.add_mount_points().map_err(|why| format!("The image cannot be started: {why}."))?;
        let configuration = digest_of(&manifest.body["config"]);
        self.ecr.download(image, &configuration, &to.folder.join("config.json")).await
    }
}

impl Image {
    /// Who the image's `User` is, by its /etc/passwd and /etc/group.
    ///
    /// # Errors
    /// A sentence, when there is no such user or group.
    pub fn user(&self) -> Result<User, String> {
        let read = |path| {
            self.files.read(path).map_err(|error| format!("The image's {path} cannot be read: {error}."))
        };
        let text = self.configuration.user.as_deref().unwrap_or_default();
        find_user(text, &read("etc/passwd")?.unwrap_or_default(), &read("etc/group")?.unwrap_or_default())
    }
}

fn find_user(text: &str, passwd: &str, groups: &str) -> Result<User, String> {
    let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    let entry = entry_of(passwd, user);
    let field = |index: usize| entry.as_ref().and_then(|fields| fields.get(index)).copied();
    let number = |index: usize| field(index).and_then(|text| text.parse().ok());
    let id = number(2).or_else(|| user.parse().ok());
    let group = match group {
        None | Some("") => number(3).or(Some(0)),
        Some(group) => {
            let entry = entry_of(groups, group);
            entry.and_then(|fields| fields.get(2)?.parse().ok()).or_else(|| group.parse().ok())
        }
    };
    match (id, group) {
        (Some(user), Some(group)) if user < u32::MAX && group < u32::MAX => {
            Ok(User { user, group, home: field(5).unwrap_or("/").to_owned() })
        }
        _ => Err(format!(
            "The image's user {text:?} is neither a number nor in its /etc/passwd and /etc/group."
        )),
    }
}

/// The fields of the line about a name or number.
fn entry_of<'a>(table: &'a str, wanted: &str) -> Option<Vec<&'a str>> {
    let mut lines = table.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.first() == Some(&wanted) || fields.get(2) == Some(&wanted))
}

/// An image that is being unpacked. It is removed when this is dropped before it is finished.
struct Unpacking {
    folder: PathBuf,
    _lock: File,
}

impl Unpacking {
    fn start(parent: &Path) -> io::Result<Unpacking> {
        let folder = parent.join(Uuid::new_v4().to_string());
        fs::create_dir(&folder)?;
        let lock = File::open(&folder)?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        Ok(Unpacking { folder, _lock: lock })
    }

    /// Puts it where it belongs, unless another emulator was faster.
    fn finish(self, to: &Path) -> io::Result<()> {
        match fs::rename(&self.folder, to) {
            Err(_) if to.is_dir() => Ok(()),
            renamed => renamed,
        }
    }
}

impl Drop for Unpacking {
    fn drop(&mut self) {
        // It is not there when it is finished.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Removes the folders that are at least that old and that nobody has locked.
fn remove_unused(parent: &Path, age: Duration) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let Ok(folder) = File::open(&path) else { continue };
        let is_old = folder.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed >= age);
        if is_old && rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn not_kept(error: io::Error) -> String {
    format!("The image cannot be kept: {error}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\n";
    const GROUP: &str = "root:x:0:\nweb:x:33:\n";

    #[test]
    fn a_user_is_a_name_or_number_with_or_without_a_group() {
        for (text, user, group, home) in [
            ("", 0, 0, "/root"),
            ("app", 1000, 1001, "/home/app"),
            ("1000", 1000, 1001, "/home/app"),
            ("app:web", 1000, 33, "/home/app"),
            ("4711", 4711, 0, "/"),
            ("4711:12", 4711, 12, "/"),
        ] {
            let expected = User { user, group, home: home.into() };
            assert_eq!(find_user(text, PASSWD, GROUP), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_user_or_group_that_the_image_does_not_know_is_refused() {
        for text in ["nobody", "app:nobody", "-1", "4294967295"] {
            assert!(find_user(text, PASSWD, GROUP).is_err(), "{text:?}");
        }
    }
}
