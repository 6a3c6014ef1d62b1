//! The program of the test images: a small server that tells what it sees. It is compiled by the tests, and
//! linked statically, for it is alone in its image.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn write(file: i32, bytes: *const u8, length: usize) -> isize;
    fn _exit(code: i32) -> !;
}

extern "C" fn on_sigterm(_: i32) {
    let line = b"ending on SIGTERM\n";
    unsafe {
        write(1, line.as_ptr(), line.len());
        _exit(0);
    }
}

fn main() {
    unsafe { signal(15, on_sigterm) };
    let behaviour = std::env::args().nth(1).unwrap_or_default();
    let address = std::env::var("LISTEN").unwrap_or("0.0.0.0:80".into());
    match behaviour.as_str() {
        "crash" => {
            eprintln!("no such table: hotels");
            std::process::exit(3);
        }
        "mute" => loop {
            println!("still waiting");
            thread::sleep(Duration::from_secs(1));
        },
        _ => {}
    }
    let listener = TcpListener::bind(&address).expect("the address is free");
    println!("listening on {address}");
    for stream in listener.incoming().flatten() {
        let status = if behaviour == "broken" { "500 Internal Server Error" } else { "200 OK" };
        thread::spawn(move || serve(stream, status));
    }
}

fn serve(stream: TcpStream, status: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let version = fs::read_to_string("/version").unwrap_or_default();
    let (status, answer) = match path {
        "/" => (status, version),
        "/echo" => (status, String::from_utf8_lossy(&body).into_owned()),
        "/slow" => {
            println!("a slow request");
            thread::sleep(Duration::from_secs(2));
            (status, format!("slow {version}"))
        }
        "/facts" => (status, facts()),
        "/read" => (status, fs::read_to_string(query).unwrap_or_else(|error| format!("{:?}", error.kind()))),
        "/write" => (status, fs::write(query, &body).map_or_else(|error| format!("{:?}", error.kind()), |()| "written".into())),
        "/dial" => (status, dial(query).unwrap_or_else(|error| format!("{:?}", error.kind()))),
        "/exit" => std::process::exit(1),
        _ => ("404 Not Found", "nothing here".into()),
    };
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(answer.as_bytes()).ok()
}

fn facts() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let of = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default().replace('\t', " ");
    let mut facts = vec![
        of("Uid:"),
        of("Gid:"),
        of("CapEff:"),
        of("NoNewPrivs:"),
        format!("pid {}", std::process::id()),
        format!("folder {}", std::env::current_dir().expect("a folder").display()),
        format!("arguments {:?}", std::env::args().skip(1).collect::<Vec<_>>()),
    ];
    facts.extend(std::env::vars().map(|(name, value)| format!("{name}={value}")));
    facts.join("\n")
}

fn dial(address: &str) -> std::io::Result<String> {
    let mut answer = String::new();
    TcpStream::connect(address)?.read_to_string(&mut answer)?;
    Ok(answer)
}
