//! A running container, as the emulator sees it.

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpStream as StdTcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::processes::sandbox::{DONE, KEEPER, SOCKET, START, Sandbox, TERMINATE};

/// Where the public reaches a container. It is no address that `localhost` means: a program that listens on
/// 127.0.0.1 alone cannot be reached from outside, here as on Lightsail.
const OUTER_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 80, 80, 80);
/// The longest line of a log; what is longer is broken.
const LONGEST_LINE: u64 = 16 * 1024;

/// A started container. It ends when this is dropped.
pub struct Container {
    control: Mutex<UnixStream>,
    /// The same connection; its shutdown ends the container.
    life: StdUnixStream,
    ended: watch::Receiver<bool>,
    /// What passes its connections to the host on.
    reaching: JoinSet<()>,
}

impl Container {
    /// Starts a container. In it, each address of `reaches` leads to the same one of the host. Its lines go to
    /// `log`.
    ///
    /// # Errors
    /// When it could not be started; the log tells why.
    pub async fn start(
        sandbox: &Sandbox,
        reaches: &[SocketAddrV4],
        log: impl Fn(&str) + Clone + Send + 'static,
    ) -> io::Result<Container> {
        let (control, theirs) = StdUnixStream::pair()?;
        control.set_nonblocking(true)?;
        let life = control.try_clone()?;
        let mut keeper = Command::new("/proc/self/exe")
            .arg0("lightsail-emulator")
            .arg(KEEPER)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A key pressed in the emulator's terminal is for the emulator.
            .process_group(0)
            .spawn()?;
        let mut lines = JoinSet::new();
        if let (Some(output), Some(errors)) = (keeper.stdout.take(), keeper.stderr.take()) {
            lines.spawn(pass_lines(output, log.clone()));
            lines.spawn(pass_lines(errors, log));
        }
        let (sender, ended) = watch::channel(false);
        tokio::spawn(see_end(keeper, lines, sender));
        let mut container = Container {
            control: Mutex::new(UnixStream::from_std(control)?),
            life,
            ended,
            reaching: JoinSet::new(),
        };
        match container.prepare_and_run(sandbox, reaches).await {
            Ok(()) => Ok(container),
            Err(error) => {
                container.kill();
                container.ended().await;
                Err(error)
            }
        }
    }

    /// Connects to a port of the container, as the public does.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        self.socket().await?.connect(SocketAddr::from((OUTER_ADDRESS, port))).await
    }

    /// Waits until it has ended and all of its lines are logged.
    pub async fn ended(&self) {
        // The sender is gone only when it has ended.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// Asks it to end with SIGTERM, and ends it with SIGKILL after `grace`.
    pub async fn stop(&self, grace: Duration) {
        let asked = self.control.lock().await.write_all(&[TERMINATE]).await;
        if asked.is_ok() {
            let _ = tokio::time::timeout(grace, self.ended()).await;
        }
        self.kill();
        self.ended().await;
    }

    /// Ends it at once.
    fn kill(&self) {
        // Where this fails the keeper is gone, and the container with it.
        let _ = self.life.shutdown(Shutdown::Both);
    }

    async fn prepare_and_run(&mut self, sandbox: &Sandbox, reaches: &[SocketAddrV4]) -> io::Result<()> {
        let mut line = serde_json::to_vec(sandbox)?;
        line.push(b'\n');
        self.ask(&line).await?;
        for address in reaches {
            let socket = self.socket().await?;
            socket.bind(SocketAddr::V4(*address))?;
            self.reaching.spawn(reach(socket.listen(128)?, *address));
        }
        self.ask(&[START]).await
    }

    /// Sends something that is answered with [`DONE`].
    async fn ask(&self, request: &[u8]) -> io::Result<()> {
        let mut control = self.control.lock().await;
        control.write_all(request).await?;
        match control.read_u8().await? {
            DONE => Ok(()),
            other => Err(io::Error::other(format!("the keeper answered {other}"))),
        }
    }

    /// A socket of the container's network.
    async fn socket(&self) -> io::Result<TcpSocket> {
        let mut control = self.control.lock().await;
        control.write_all(&[SOCKET]).await?;
        let socket = control.async_io(Interest::READABLE, || receive_descriptor(&control)).await?;
        Ok(TcpSocket::from_std_stream(StdTcpStream::from(socket)))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.kill();
    }
}

fn receive_descriptor(control: &UnixStream) -> io::Result<OwnedFd> {
    let mut answer = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut answer)];
    rustix::net::recvmsg(control, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => descriptors.collect(),
        _ => Vec::new(),
    });
    descriptors
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::ConnectionRefused, "the container has ended"))
}

async fn see_end(mut keeper: Child, lines: JoinSet<()>, ended: watch::Sender<bool>) {
    let _ = keeper.wait().await;
    lines.join_all().await;
    ended.send_replace(true);
}

async fn pass_lines(from: impl AsyncRead + Unpin, log: impl Fn(&str)) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut from).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
        log(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
        line.clear();
    }
}

/// Passes connections on to the host's `address`.
async fn reach(listener: TcpListener, address: SocketAddrV4) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((mut inner, _)) = listener.accept() => {
                connections.spawn(async move {
                    // What cannot be reached is closed, as a refused connection is seen soon after.
                    if let Ok(mut outer) = TcpStream::connect(address).await {
                        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
