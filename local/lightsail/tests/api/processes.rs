//! Containers that really run. They need user namespaces; where there are none the emulator says so, and these
//! tests fail.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::images::{Layer, app};
use crate::real_lab::{RealLab, command, processes_with, until_no_process_has};

const CONTAINER: &str = "/containers/app";
const HEALTH_CHECK: &str = "/publicEndpoint/healthCheck";

fn entrypoint(arguments: &[&str]) -> Value {
    let command = [&["/app"], arguments].concat();
    json!({"Entrypoint": command})
}

fn argument() -> String {
    format!("test-{}", fastrand::u64(..))
}

async fn answers(lab: &RealLab, expected: &str) {
    assert_eq!(lab.get("/").await, (StatusCode::OK, expected.to_owned()));
}

#[tokio::test]
async fn the_public_url_leads_to_the_pulled_image() {
    let lab = RealLab::start(&[]).await;
    let before = lab.get("/").await;
    assert_eq!(before.0, StatusCode::SERVICE_UNAVAILABLE, "{}", before.1);
    assert_eq!(lab.release("v1", &[]).await, "ACTIVE");
    answers(&lab, "one").await;
    let body = "x".repeat(200_000);
    assert_eq!(lab.send_to_service(Method::POST, "/echo", &body).await, (StatusCode::OK, body));
    assert!(lab.log().await.contains(&"listening on 0.0.0.0:80".to_owned()));
}

#[tokio::test]
async fn a_new_version_takes_over_at_the_same_port_without_one_failed_request() {
    let lab = RealLab::start(&[]).await;
    lab.release("v1", &[]).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let url = lab.service().await["url"].as_str().expect("a URL").to_owned();
    let load = async {
        let mut seen = Vec::new();
        while !*stopped.borrow() || seen.last().map(String::as_str) != Some("three") {
            let answer = lab.fetch(Method::GET, &url, &[], String::new()).await.expect("an answer");
            let body = String::from_utf8(answer.body().to_vec()).expect("text");
            assert_eq!(answer.status(), StatusCode::OK, "{body}");
            if seen.last() != Some(&body) {
                seen.push(body);
            }
        }
        seen
    };
    let releases = async {
        for (tag, version) in [("v2", "two"), ("v3", "three")] {
            lab.push(tag, &entrypoint(&[]), &[app(version)]);
            assert_eq!(lab.release(tag, &[]).await, "ACTIVE");
        }
        stop.send_replace(true);
    };
    let (seen, ()) = tokio::join!(load, releases);
    assert_eq!(seen, ["one", "two", "three"]);
    lab.logged("ending on SIGTERM").await;
}

#[tokio::test]
async fn requests_in_flight_are_answered_before_their_container_is_stopped() {
    let lab = RealLab::start(&[]).await;
    lab.release("v1", &[]).await;
    lab.push("v2", &entrypoint(&[]), &[app("two")]);
    let slow = async {
        let mut last = String::new();
        while last != "slow two" {
            let (status, body) = lab.get("/slow").await;
            assert_eq!(status, StatusCode::OK, "{body}");
            last = body;
        }
    };
    let release = async {
        lab.logged("a slow request").await;
        assert_eq!(lab.release("v2", &[]).await, "ACTIVE");
    };
    tokio::join!(slow, release);
}

#[tokio::test]
async fn an_image_that_does_not_become_healthy_fails_and_the_old_one_keeps_serving() {
    let lab = RealLab::start(&[]).await;
    lab.release("v1", &[]).await;
    lab.set(json!({"healthCheckDeadlineMs": 2000})).await;
    let elsewhere = (format!("{CONTAINER}/environment"), json!({"LISTEN": "127.0.0.1:80"}));
    let wrong_path = (HEALTH_CHECK.to_owned(), json!({"path": "/nowhere", "successCodes": "200"}));
    for (tag, arguments, change) in [
        ("mute", vec!["mute"], None),
        ("broken", vec!["broken"], None),
        ("wrong-path", vec![], Some(wrong_path)),
        ("localhost", vec![], Some(elsewhere)),
    ] {
        lab.push(tag, &entrypoint(&arguments), &[app(tag)]);
        let changes: Vec<_> =
            change.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
        assert_eq!(lab.release(tag, &changes).await, "FAILED", "{tag}");
        answers(&lab, "one").await;
        let last = lab.log().await.iter().rfind(|line| line.starts_with('[')).cloned();
        assert!(last.as_ref().is_some_and(|line| line.ends_with("Took too long")), "{tag}: {last:?}");
    }
    assert_eq!(lab.service().await["state"], "RUNNING");
    lab.logged("still waiting").await;
}

#[tokio::test]
async fn an_image_that_crashes_is_started_three_times_and_tells_why_in_its_log() {
    let lab = RealLab::start(&[]).await;
    lab.release("v1", &[]).await;
    lab.push("crash", &entrypoint(&["crash"]), &[app("crash")]);
    assert_eq!(lab.release("crash", &[]).await, "FAILED");
    assert_eq!(lab.failure().await, "A container ended.");
    let of_deployment = |line: &&String| line.starts_with("[deployment:2]") || line.contains("hotels");
    let log = lab.log().await;
    let lines: Vec<&str> =
        log.iter().filter(of_deployment).map(|line| line.trim_start_matches("[deployment:2] ")).collect();
    let (start, line) = ("Started 1 new node", "no such table: hotels");
    assert_eq!(lines, ["Creating your deployment", start, line, start, line, start, line, "Canceled"]);
    answers(&lab, "one").await;
}

#[tokio::test]
async fn a_program_that_is_not_in_the_image_is_told_in_the_log() {
    let lab = RealLab::start(&[]).await;
    lab.push("empty", &json!({"Entrypoint": ["/missing"]}), &[app("empty")]);
    assert_eq!(lab.release("empty", &[]).await, "FAILED");
    assert!(lab.log().await.iter().any(|line| line.contains("cannot run \"/missing\": No such file")));
    lab.push("silent", &json!({}), &[app("silent")]);
    assert_eq!(lab.release("silent", &[]).await, "FAILED");
    assert!(lab.log().await.iter().any(|line| line.contains("no entrypoint and no command")));
}

#[tokio::test]
async fn the_program_gets_environment_command_folder_and_user_of_image_and_deployment() {
    let lab = RealLab::start(&[]).await;
    let config = json!({
        "Entrypoint": ["app"], "Cmd": ["by-the-image"], "Env": ["PATH=/bin:/", "COLOR=red", "SHAPE=round"],
        "WorkingDir": "/srv/app", "User": "web:staff",
    });
    let passwd = b"root:x:0:0::/root:\nweb:x:1000:1000::/home/web:\n";
    let tables =
        Layer::new().file("etc/passwd", 0o644, passwd).file("etc/group", 0o644, b"staff:x:50:\n").plain();
    lab.push("v2", &config, &[app("two"), tables]);
    assert_eq!(lab.release("v2", &[]).await, "ACTIVE");
    let facts = lab.get("/facts").await.1;
    for fact in [
        "Uid: 1000 1000 1000 1000",
        "Gid: 50 50 50 50",
        "CapEff: 0000000000000000",
        "NoNewPrivs: 1",
        "pid 1",
        "folder /srv/app",
        "arguments [\"by-the-image\"]",
        "COLOR=red",
        "HOME=/home/web",
        "HOSTNAME=api-1",
    ] {
        assert!(facts.lines().any(|line| line == fact), "{fact} is not in\n{facts}");
    }
    let changes = [
        (format!("{CONTAINER}/command"), json!(["by-the-deployment", "$(id)"])),
        (format!("{CONTAINER}/environment"), json!({"COLOR": "blue; = \"'"})),
    ];
    let changes = changes.each_ref().map(|(pointer, value)| (pointer.as_str(), value.clone()));
    assert_eq!(lab.release("v2", &changes).await, "ACTIVE");
    let facts = lab.get("/facts").await.1;
    for fact in ["arguments [\"by-the-deployment\", \"$(id)\"]", "COLOR=blue; = \"'", "SHAPE=round"] {
        assert!(facts.lines().any(|line| line == fact), "{fact} is not in\n{facts}");
    }
}

#[tokio::test]
async fn layers_lie_on_top_of_each_other_and_hide_what_they_delete() {
    let lab = RealLab::start(&[]).await;
    let first = Layer::new()
        .file("data/kept", 0o644, b"kept")
        .file("data/hidden", 0o644, b"hidden")
        .file("data/replaced", 0o644, b"old")
        .file("full/old", 0o644, b"old")
        .symlink("absolute", "/data")
        .plain();
    let second = Layer::new()
        .file("data/.wh.hidden", 0o644, b"")
        .file("data/replaced", 0o644, b"new")
        .file("full/new", 0o644, b"new")
        .file("full/.wh..wh..opq", 0o644, b"")
        .link("data/linked", "data/kept")
        .file("absolute/through", 0o644, b"through the link")
        .compressed();
    lab.push("v2", &entrypoint(&[]), &[app("two"), first, second]);
    assert_eq!(lab.release("v2", &[]).await, "ACTIVE");
    for (path, expected) in [
        ("/data/kept", "kept"),
        ("/data/linked", "kept"),
        ("/data/hidden", "NotFound"),
        ("/data/replaced", "new"),
        ("/full/old", "NotFound"),
        ("/full/new", "new"),
        ("/data/through", "through the link"),
        ("/absolute/kept", "kept"),
        ("/proc/sys/kernel/hostname", "api-1\n"),
    ] {
        assert_eq!(lab.get(&format!("/read?{path}")).await.1, expected, "{path}");
    }
}

#[tokio::test]
async fn what_a_container_writes_ends_with_it() {
    let lab = RealLab::start(&[]).await;
    for _ in 0..2 {
        lab.release("v1", &[]).await;
        assert_eq!(lab.get("/read?/note").await.1, "NotFound");
        assert_eq!(lab.send_to_service(Method::POST, "/write?/note", "a note").await.1, "written");
        assert_eq!(lab.send_to_service(Method::POST, "/write?/version", "changed").await.1, "written");
        answers(&lab, "changed").await;
    }
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"] {
        let written = lab.send_to_service(Method::POST, &format!("/write?{path}"), "x").await.1;
        assert_ne!(written, "written", "{path}");
    }
    assert_eq!(lab.send_to_service(Method::POST, "/write?/dev/null", "x").await.1, "written");
}

#[tokio::test]
async fn nothing_of_a_hostile_layer_gets_out_of_the_image() {
    let lab = RealLab::start(&[]).await;
    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join(argument());
    std::fs::create_dir(&outside).expect("a folder");
    std::fs::write(outside.join("secret"), "of the host").expect("a file");
    let out = outside.to_str().expect("text");
    let up = format!("{}tmp/pwned", "../".repeat(20));
    for (tag, layer) in [
        ("up", Layer::new().file(&up, 0o644, b"x")),
        ("middle", Layer::new().file("a/../../pwned", 0o644, b"x")),
        ("link-up", Layer::new().link("stolen", &format!("../../..{out}/secret"))),
        ("proc", Layer::new().symlink("proc", out)),
    ] {
        lab.push(tag, &entrypoint(&[]), &[app(tag), layer.plain()]);
        assert_eq!(lab.release(tag, &[]).await, "FAILED", "{tag}");
        assert!(lab.failure().await.contains(if tag == "proc" {
            "its /proc is not a folder"
        } else {
            "leads out of"
        }));
    }
    let through_links = Layer::new()
        .symlink("absolute", out)
        .symlink("relative", &format!("../../../../../..{out}"))
        .file("absolute/pwned", 0o644, b"inside")
        .file("relative/pwned-too", 0o644, b"inside")
        .folder("dev", 0o755)
        .device("disk")
        .device("dev/null")
        .plain();
    // The image's own folder with the name of the host's, in which the links end.
    let inner = Layer::new().folder(out.trim_start_matches('/'), 0o755).plain();
    lab.push("links", &entrypoint(&[]), &[app("links"), inner, through_links]);
    assert_eq!(lab.release("links", &[]).await, "ACTIVE");
    assert_eq!(lab.get(&format!("/read?{out}/pwned")).await.1, "inside");
    assert_eq!(lab.get("/read?/relative/pwned-too").await.1, "inside");
    assert_eq!(lab.get(&format!("/read?{out}/secret")).await.1, "NotFound");
    assert_eq!(lab.get("/read?/disk").await.1, "NotFound");
    let names: Vec<_> =
        std::fs::read_dir(&outside).expect("the folder").flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["secret"]);
    std::fs::remove_dir_all(&outside).expect("the folder");
}

#[tokio::test]
async fn a_layer_that_arrives_changed_or_compressed_otherwise_is_refused() {
    let lab = RealLab::start(&[]).await;
    let layer = app("two");
    lab.push("v2", &entrypoint(&[]), std::slice::from_ref(&layer));
    lab.registry.corrupt("api", &layer);
    assert_eq!(lab.release("v2", &[]).await, "FAILED");
    assert!(lab.failure().await.contains("arrived as sha256:"), "{}", lab.failure().await);
    for (tag, layer, reason) in [
        ("zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0], "compressed with zstd"),
        ("cut", app("three")[..1000].to_vec(), "incomplete deflate stream"),
    ] {
        lab.push(tag, &entrypoint(&[]), &[layer]);
        assert_eq!(lab.release(tag, &[]).await, "FAILED");
        assert!(lab.failure().await.contains(reason), "{}", lab.failure().await);
    }
}

#[tokio::test]
async fn a_container_reaches_the_declared_addresses_of_the_host_and_no_others() {
    let declared = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let [declared_at, other_at] =
        [&declared, &other].map(|listener| listener.local_addr().expect("an address").to_string());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = declared.accept().await {
            stream.write_all(b"the database").await.expect("a reader");
        }
    });
    let lab = RealLab::start(&["--container-reaches", &declared_at]).await;
    assert_eq!(lab.release("v1", &[]).await, "ACTIVE");
    assert_eq!(lab.get(&format!("/dial?{declared_at}")).await.1, "the database");
    assert_eq!(lab.get(&format!("/dial?{other_at}")).await.1, "ConnectionRefused");
    assert_eq!(lab.get(&format!("/dial?{}", lab.address())).await.1, "ConnectionRefused");
}

#[tokio::test]
async fn a_container_that_dies_is_started_again() {
    let lab = RealLab::start(&[]).await;
    let argument = argument();
    let changes = [("/containers/app/command", json!([argument]))];
    lab.release("v1", &changes).await;
    assert_eq!(processes_with(&argument), 1);
    assert_eq!(lab.get("/exit").await.0, StatusCode::BAD_GATEWAY);
    for _ in 0..3000 {
        if lab.get("/").await.0 == StatusCode::OK {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    answers(&lab, "one").await;
    assert_eq!(lab.service().await["currentDeployment"]["state"], "ACTIVE");
    assert_eq!(processes_with(&argument), 1);
}

#[tokio::test]
async fn disabling_deleting_and_replacing_end_the_processes() {
    let lab = RealLab::start(&[]).await;
    let arguments = [argument(), argument()];
    for (index, argument) in arguments.iter().enumerate() {
        assert_eq!(lab.release("v1", &[("/containers/app/command", json!([argument]))]).await, "ACTIVE");
        if index == 1 {
            until_no_process_has(&arguments[0]).await;
        }
    }
    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": true})).await;
    until_no_process_has(&arguments[1]).await;
    assert_eq!(lab.get("/").await.0, StatusCode::SERVICE_UNAVAILABLE);
    lab.until("is DISABLED", |service| service["state"] == "DISABLED").await;
    lab.ok("UpdateContainerService", json!({"serviceName": "api", "isDisabled": false})).await;
    lab.until("is RUNNING", |service| service["state"] == "RUNNING").await;
    answers(&lab, "one").await;
    lab.ok("DeleteContainerService", json!({"serviceName": "api"})).await;
    until_no_process_has(&arguments[1]).await;
}

#[tokio::test]
async fn a_deployment_that_is_forgotten_while_it_starts_leaves_no_process() {
    let lab = RealLab::start(&[]).await;
    let argument = argument();
    lab.push("mute", &entrypoint(&["mute"]), &[app("mute")]);
    lab.begin("mute", &[("/containers/app/command", json!([argument]))]).await.expect("a deployment");
    lab.logged("still waiting").await;
    assert_eq!(processes_with(&argument), 1);
    lab.control(Method::POST, "reset", Value::Null).await;
    until_no_process_has(&argument).await;
}

#[tokio::test]
async fn no_process_outlives_the_emulator() {
    for is_killed in [true, false] {
        let mut lab = RealLab::start(&[]).await;
        let argument = argument();
        lab.release("v1", &[("/containers/app/command", json!([argument]))]).await;
        assert_eq!(processes_with(&argument), 1);
        if is_killed {
            lab.kill().await;
        } else {
            lab.terminate().await;
        }
        until_no_process_has(&argument).await;
    }
}

#[tokio::test]
async fn verdicts_are_refused_where_containers_really_run() {
    let lab = RealLab::start(&[]).await;
    let (status, answer) = lab.control(Method::PUT, "verdicts", json!({"verdict": "crashes"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn a_machine_without_user_namespaces_is_told_what_is_missing() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(argument());
    let emulator = command(&folder);
    let emulator = emulator.as_std();
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "sh",
            "-c",
            "echo 0 > /proc/sys/user/max_user_namespaces; exec \"$@\"",
            "sh",
        ])
        .arg(emulator.get_program())
        .args(emulator.get_args())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("unshare of util-linux");
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).expect("text");
    for part in ["cannot make a user namespace", "user.max_user_namespaces", "--runtime process"] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder");
}
