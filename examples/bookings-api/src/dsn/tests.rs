use secrecy::ExposeSecret;

use super::*;

const VERIFIED: Tls = Tls::Verified { authorities: None };

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp { host: host.to_owned(), port }
}

#[test]
fn both_forms_name_server_login_and_database() {
    for (text, address, user, password, database) in [
        ("mysql://u:p@h/d", tcp("h", 3306), "u", "p", "d"),
        ("mysql2://u:p@h:3307/d", tcp("h", 3307), "u", "p", "d"),
        ("mysql://u:p%40%2f%3A%25@h/d", tcp("h", 3306), "u", "p@/:%", "d"),
        ("mysql://u@[::1]:3307/d%20e", tcp("::1", 3307), "u", "", "d e"),
        ("  mysql://u:p@127.0.0.1/d@primary\n", tcp("127.0.0.1", 3306), "u", "p", "d@primary"),
        ("u:p@tcp(h:3307)/d", tcp("h", 3307), "u", "p", "d"),
        ("u:p@tcp(h)/d?parseTime=true&interpolateParams=true", tcp("h", 3306), "u", "p", "d"),
        ("u:p@s/s:w?o%rd@tcp([::1]:1)/d", tcp("::1", 1), "u", "p@s/s:w?o%rd", "d"),
        ("u@tcp([2001:db8::1])/d", tcp("2001:db8::1", 3306), "u", "", "d"),
        ("u:p@unix(/run/db.sock)/d", Address::Unix("/run/db.sock".into()), "u", "p", "d"),
    ] {
        let dsn = Dsn::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(dsn.address, address, "{text}");
        assert_eq!(dsn.user, user, "{text}");
        assert_eq!(dsn.password.expose_secret(), password, "{text}");
        assert_eq!(dsn.database, database, "{text}");
        assert_eq!(dsn.tls, Tls::Off, "{text}");
    }
}

#[test]
fn every_way_to_ask_for_tls_is_understood_in_both_forms() {
    for (parameters, tls) in [
        ("sslaccept=strict", VERIFIED),
        ("sslaccept=accept_invalid_certs", Tls::Unverified),
        ("ssl-mode=VERIFY_IDENTITY", VERIFIED),
        ("sslmode=verify-full", VERIFIED),
        ("SslMode=VerifyFull", VERIFIED),
        ("ssl_mode=verify_ca", VERIFIED),
        ("sslmode=require", Tls::Unverified),
        ("ssl-mode=DISABLED", Tls::Off),
        ("tls=true&interpolateParams=true", VERIFIED),
        ("tls=skip-verify", Tls::Unverified),
        ("tls=false", Tls::Off),
        ("ssl=true", VERIFIED),
        ("ssl=%7B%22rejectUnauthorized%22:true%7D", VERIFIED),
        ("ssl={\"rejectUnauthorized\":false}", Tls::Unverified),
        ("tls=true&sslmode=verify_identity", VERIFIED),
        ("connection_limit=5", Tls::Off),
    ] {
        for form in ["mysql://u:p@h/d?", "u:p@tcp(h)/d?"] {
            let text = format!("{form}{parameters}");
            let dsn = Dsn::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(dsn.tls, tls, "{text}");
        }
    }
}

#[test]
fn authorities_of_a_file_are_trusted_instead_of_the_public_ones() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "PEM").unwrap();
    let path = file.path().display();
    for parameters in ["", "&sslmode=verify_ca", "&sslaccept=strict"] {
        let dsn = Dsn::parse(&format!("mysql://u:p@h/d?sslca={path}{parameters}")).unwrap();
        assert_eq!(dsn.tls, Tls::Verified { authorities: Some(b"PEM".to_vec()) });
    }
    let unverified = Dsn::parse(&format!("mysql://u:p@h/d?tls=skip-verify&sslca={path}"));
    assert_eq!(unverified.unwrap_err(), DsnError::UselessAuthorities);
    let missing = Dsn::parse("mysql://u:p@h/d?ssl-ca=/nowhere/ca.pem").unwrap_err().to_string();
    assert!(missing.contains("ssl-ca names cannot be read"), "{missing}");
}

#[test]
fn what_is_wrong_is_said_without_the_string() {
    let long = format!("u:hunter2@tcp(h)/d?tls={}", "x".repeat(100_000));
    for (text, said) in [
        ("", "neither"),
        ("hunter2", "neither"),
        ("postgres://u:hunter2@h/d", "neither"),
        ("https://u:hunter2@h/d", "neither"),
        ("mysql://", "no host"),
        ("mysql:///d", "no host"),
        ("mysql://u:hunter2@/d", "neither"),
        ("mysql://u:hunter2@h", "no database"),
        ("mysql://u:hunter2@h/", "no database"),
        ("mysql://:hunter2@h/d", "no user"),
        ("mysql://u:hunter2@h:0/d", "port"),
        ("mysql://u:hunter2@h:99999/d", "neither"),
        ("mysql://u:hun/ter2@h/d", "neither"),
        ("mysql://u:hunter2%ff@h/d", "password is not valid UTF-8"),
        ("u:hunter2@tcp(h)", "neither"),
        ("u:hunter2@h/d", "neither"),
        ("u:hunter2@tcp(h/d", "neither"),
        ("u:hunter2@tcp()/d", "no host"),
        ("u:hunter2@unix()/d", "no socket"),
        ("u:hunter2@udp(h)/d", "neither"),
        ("u:hunter2@tcp(h:x)/d", "port"),
        ("u:hunter2@tcp(h:65536)/d", "port"),
        ("u:hunter2@tcp(h)/", "no database"),
        ("hunter2@tcp(h)/d?tls=yes", "tls does not have a value"),
        ("u:hunter2@tcp(h)/d?tls=preferred", "tls does not have a value"),
        ("mysql://u:hunter2@h/d?sslmode=preferred", "sslmode does not have a value"),
        ("mysql://u:hunter2@h/d?sslaccept=", "sslaccept does not have a value"),
        ("mysql://u:hunter2@h/d?ssl=[", "ssl does not have a value"),
        ("mysql://u:hunter2@h/d?sslmod=verify_identity", "does not know the parameter sslmod"),
        ("mysql://u:hunter2@h/d?tls=true&tls=false", "differ"),
        ("mysql://u:hunter2@h/d?sslmode=disabled&sslaccept=strict", "differ"),
        (&long, "tls does not have a value"),
    ] {
        let error = Dsn::parse(text).err().unwrap_or_else(|| panic!("{text} is wrong")).to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{text}: {error}");
        assert!(error.len() < 300, "{text}: {error}");
    }
}

#[test]
fn no_piece_of_a_good_string_makes_the_parser_panic() {
    let pieces = [
        "mysql://", "u", ":", "@", "(", ")", "[", "]", "/", "?", "%", "%ff", "=", "&", "tls", "\0", "é", " ",
    ];
    for a in pieces {
        for b in pieces {
            for c in pieces {
                for text in
                    [format!("{a}{b}{c}"), format!("u:p@tcp({a}{b}{c})/d"), format!("mysql://{a}{b}{c}/d")]
                {
                    let _ = Dsn::parse(&text);
                }
            }
        }
    }
}

#[test]
fn the_password_is_not_in_debug_output() {
    let dsn = Dsn::parse("mysql://u:hunter2@h/d").unwrap();
    assert!(!format!("{dsn:?}").contains("hunter2"));
}
