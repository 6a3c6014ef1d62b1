//! What runs in the two processes that this program starts of itself for each container.
//!
//! The *keeper* makes a user, network and process namespace and stays in the host's file system. It hands out
//! sockets of its network to the emulator, starts the container, and ends with it or with the emulator. The
//! *container* gives itself the image as its root and becomes the image's program. Neither needs a privilege,
//! and both have one thread, as the kernel demands of who makes a user namespace.

use std::fs;
use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use nix::sched::CloneFlags;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use crate::processes::loopback;

/// The first argument of a keeper.
pub const KEEPER: &str = "container-keeper";
const CONTAINER: &str = "container";
/// The exit code of a container that could not be started, as of `docker run`.
const NOT_STARTED: u8 = 125;
/// The most that a container can write, in memory.
const WRITABLE: &str = "size=1g,mode=0755";

/// Asks a keeper for a TCP socket of the container's network, whose descriptor comes with the answer.
pub const SOCKET: u8 = b's';
/// Asks a keeper to start the container.
pub const START: u8 = b'x';
/// Asks a keeper to send SIGTERM to the container; there is no answer.
pub const TERMINATE: u8 = b't';
/// What a keeper answers.
pub const DONE: u8 = b'.';

/// What is to run.
#[derive(Serialize, Deserialize)]
pub struct Sandbox {
    /// The folder of the unpacked images.
    pub images: PathBuf,
    /// The root of the image in that folder; it is only read.
    pub root: PathBuf,
    /// An empty folder beside it, on which the container mounts the memory that it writes to.
    pub scratch: PathBuf,
    /// The program and its arguments. Without a program the container ends well once it could be started.
    pub command: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub working_folder: String,
    pub user: u32,
    pub group: u32,
    pub host_name: String,
}

/// Does what the process was started for, if it was started as a keeper or container.
pub fn run_if_started_as_one() -> Option<ExitCode> {
    let role = std::env::args_os().nth(1)?;
    let ended = match role.to_str() {
        Some(KEEPER) => keep(),
        Some(CONTAINER) => become_container(),
        _ => return None,
    };
    Some(ended.unwrap_or_else(|error| {
        // Standard error is the container's log.
        let _ = writeln!(io::stderr(), "{error}");
        ExitCode::from(NOT_STARTED)
    }))
}

fn keep() -> Result<ExitCode, String> {
    let control = io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let mut control = UnixStream::from(control);
    let sandbox = read_line(&control)?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let namespaces = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS;
    nix::sched::unshare(namespaces).map_err(explain("make a user namespace"))?;
    // Its own identity is all that may be mapped without privileges.
    map_identity((0, user), (0, group)).map_err(explain("map the user into its namespace"))?;
    loopback::bring_up().map_err(explain("bring the loopback interface up"))?;
    answer(&mut control)?;

    let mut container: Option<Child> = None;
    loop {
        if let Some(child) = &mut container
            && has_ended_before_request(&control, child)?
        {
            return Ok(exit_code(child.wait().map_err(explain("wait for the container"))?));
        }
        let mut request = [0];
        match (control.read(&mut request), &mut container) {
            (Ok(1), None) if request[0] == START => {
                container = Some(start_container(&sandbox)?);
                answer(&mut control)?;
            }
            (Ok(1), _) if request[0] == SOCKET => send_socket(&control)?,
            (Ok(1), Some(child)) if request[0] == TERMINATE => {
                // Where this fails the container has ended, which is seen next.
                let _ = rustix::process::kill_process(Pid::from_child(child), Signal::TERM);
            }
            // The emulator has ended, or wants the container to.
            (_, container) => {
                if let Some(child) = container {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

fn become_container() -> Result<ExitCode, String> {
    let control = io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let sandbox: Sandbox = read_line(&fs::File::from(control))?;
    rustix::process::setsid().map_err(explain("start a session"))?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWCGROUP)
        .map_err(explain("make a mount namespace"))?;
    rustix::system::sethostname(sandbox.host_name.as_bytes()).map_err(explain("set the host name"))?;
    enter_root(&sandbox)?;
    // In a namespace of its own the container has no power over its network and mounts, whoever it is there.
    nix::sched::unshare(CloneFlags::CLONE_NEWUSER).map_err(explain("make a user namespace"))?;
    map_identity((sandbox.user, 0), (sandbox.group, 0)).map_err(explain("become the image's user"))?;
    let folder = Path::new("/").join(&sandbox.working_folder);
    fs::create_dir_all(&folder)
        .and_then(|()| std::env::set_current_dir(&folder))
        .map_err(explain(&format!("enter the working directory {}", folder.display())))?;
    rustix::thread::set_no_new_privs(true).map_err(explain("give up privileges"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(explain("follow the keeper"))?;
    if has_hung_up() {
        return Ok(ExitCode::SUCCESS);
    }
    let Some((program, arguments)) = sandbox.command.split_first() else { return Ok(ExitCode::SUCCESS) };
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(sandbox.environment)
        .stdin(Stdio::null())
        .exec();
    Err(format!("cannot run {program:?}: {error}"))
}

/// Makes the image, with a layer above it for what is written, the root of this process.
fn enter_root(sandbox: &Sandbox) -> Result<(), String> {
    let scratch = &sandbox.scratch;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(explain("keep mounts to itself"))?;
    // Relative paths keep the separators of overlay's options out of the paths.
    std::env::set_current_dir(&sandbox.images).map_err(explain("enter the folder of images"))?;
    let harmless = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", scratch, harmless, WRITABLE)?;
    let [upper, work, root] = ["upper", "work", "root"].map(|name| scratch.join(name));
    for folder in [&upper, &work, &root] {
        fs::create_dir(folder).map_err(explain("make a folder"))?;
    }
    write_network_files(&upper, &sandbox.host_name).map_err(explain("write /etc/hosts"))?;
    let [lower, upper, work] = [&sandbox.root, &upper, &work].map(|path| path.display());
    let layers = format!("lowerdir={lower},upperdir={upper},workdir={work},userxattr");
    mount("overlay", &root, harmless, &layers)?;
    add_proc(&root.join("proc"))?;
    add_devices(&root.join("dev"))?;
    std::env::set_current_dir(&root).map_err(explain("enter the root"))?;
    rustix::process::pivot_root(".", ".").map_err(explain("change the root"))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(explain("leave the host's files"))?;
    std::env::set_current_dir("/").map_err(explain("enter the root"))
}

/// What every engine gives a container, for images without it know no `localhost`.
fn write_network_files(upper: &Path, host_name: &str) -> io::Result<()> {
    let etc = upper.join("etc");
    fs::create_dir(&etc)?;
    let hosts =
        format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\t{host_name}\n");
    fs::write(etc.join("hosts"), hosts)?;
    fs::write(etc.join("hostname"), format!("{host_name}\n"))?;
    fs::write(etc.join("resolv.conf"), "")
}

fn add_proc(proc: &Path) -> Result<(), String> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", proc, flags, "")?;
    // On Lightsail a program of any user can listen on port 80, as in other engines.
    fs::write(proc.join("sys/net/ipv4/ip_unprivileged_port_start"), "0")
        .map_err(explain("open the ports below 1024"))?;
    // Where the emulator is run by root, these would be the host's to change.
    for path in ["sys", "sysrq-trigger", "irq", "bus"].map(|name| proc.join(name)) {
        if path.exists() {
            bind_read_only(&path, &path, flags)?;
        }
    }
    Ok(())
}

fn add_devices(dev: &Path) -> Result<(), String> {
    mount("tmpfs", dev, MountFlags::NOSUID | MountFlags::NOEXEC, "size=64k,mode=0755")?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let device = dev.join(name);
        fs::write(&device, "").map_err(explain("add a device"))?;
        // Read-only is the node, not what is written to it.
        bind_read_only(&Path::new("/dev").join(name), &device, MountFlags::NOSUID | MountFlags::NOEXEC)?;
    }
    let links = [("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr")];
    for (target, name) in links {
        symlink(target, dev.join(name)).map_err(explain("add a device"))?;
    }
    let shared_memory = dev.join("shm");
    fs::create_dir(&shared_memory).map_err(explain("add /dev/shm"))?;
    mount("tmpfs", &shared_memory, MountFlags::NOSUID | MountFlags::NODEV, "size=64m,mode=1777")
}

fn mount(kind: &str, target: &Path, flags: MountFlags, options: &str) -> Result<(), String> {
    let options = std::ffi::CString::new(options).map_err(|error| error.to_string())?;
    rustix::mount::mount(kind, target, kind, flags, Some(options.as_c_str()))
        .map_err(explain(&format!("mount {kind} on {}", target.display())))
}

fn bind_read_only(source: &Path, target: &Path, flags: MountFlags) -> Result<(), String> {
    rustix::mount::mount_bind(source, target)
        .and_then(|()| {
            rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY | flags, "")
        })
        .map_err(explain(&format!("show {} read-only", target.display())))
}

/// Maps one user and one group into the user namespace of this process: theirs inside, theirs outside.
fn map_identity(user: (u32, u32), group: (u32, u32)) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{} {} 1", user.0, user.1))?;
    fs::write("/proc/self/gid_map", format!("{} {} 1", group.0, group.1))
}

fn start_container(sandbox: &Sandbox) -> Result<Child, String> {
    let mut child = Command::new("/proc/self/exe")
        .arg0("lightsail-emulator")
        .arg(CONTAINER)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(explain("start the container"))?;
    let mut line = serde_json::to_vec(sandbox).map_err(|error| error.to_string())?;
    line.push(b'\n');
    // The pipe stays open with the child: its end is how the container sees that the keeper is gone.
    let pipe = child.stdin.as_mut().ok_or("The container has no standard input.")?;
    pipe.write_all(&line).map_err(explain("tell the container what to run"))?;
    Ok(child)
}

/// Waits for the container's end or for the next request; tells whether it is the end.
fn has_ended_before_request(control: &UnixStream, container: &Child) -> Result<bool, String> {
    let process = rustix::process::pidfd_open(Pid::from_child(container), PidfdFlags::empty())
        .map_err(explain("watch the container"))?;
    let mut watched = [PollFd::new(&process, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
    poll(&mut watched, None).map_err(explain("watch the container"))?;
    Ok(!watched[0].revents().is_empty())
}

fn send_socket(control: &UnixStream) -> Result<(), String> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
        .map_err(explain("make a socket"))?;
    let descriptors = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(control, &[IoSlice::new(&[DONE])], &mut ancillary, SendFlags::empty())
        .map(|_| ())
        .map_err(explain("hand out a socket"))
}

fn has_hung_up() -> bool {
    let stdin = io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::HUP)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut watched, Some(&now)).is_err() || watched[0].revents().contains(PollFlags::HUP)
}

fn answer(control: &mut UnixStream) -> Result<(), String> {
    control.write_all(&[DONE]).map_err(explain("answer the emulator"))
}

fn read_line<T: serde::de::DeserializeOwned>(from: impl Read) -> Result<T, String> {
    let mut line = Vec::new();
    BufReader::new(from).read_until(b'\n', &mut line).map_err(explain("read what to run"))?;
    serde_json::from_slice(&line).map_err(explain("read what to run"))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(code as u8)
}

fn explain<E: std::fmt::Display>(what: &str) -> impl FnOnce(E) -> String {
    let what = what.to_owned();
    move |error| format!("The container cannot {what}: {error}.")
}
