//! What `wrangler deploy` would upload, served by the runtime that it would be uploaded to.

use std::fs;
use std::path::PathBuf;

use burrow_tests::crash::http::{Connection, Request};
use burrow_tests::process::{Launch, Server};
use burrow_tests::worker::config;
use tempfile::TempDir;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn what_wrangler_packs_serves() {
    let (server, _data) = serve("workerd.capnp", str::to_owned);
    let mut connection = Connection::open(server.address()).unwrap();
    let put = Request::new("PUT", "/v1.0/a/q/1").with_body(b"hello");
    assert_eq!(connection.call(&put).unwrap().status, 201);
    let list = Request::new("GET", "/v1.0/a/q?detail=body");
    assert_eq!(connection.call(&list).unwrap().body, br#"["hello"]"#);
    let accounts = connection.call(&Request::new("GET", "/v1.0")).unwrap();
    assert_eq!(accounts.body, br#"["a"]"#);
}

/// Whoever deploys it with bindings of their own reads in the log which one is wrong.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn the_log_tells_of_bindings_that_are_wrong() {
    let root = r#"(name = "ROOT", durableObjectNamespace = "Root")"#;
    let cases = [
        ("missing.capnp", "", "there is no binding ROOT"),
        (
            "other.capnp",
            r#"(name = "ROOT", json = "{}")"#,
            "TypeError: ",
        ),
    ];
    for (config, binding, logged) in cases {
        let (server, _data) = serve(config, |text| {
            assert!(text.contains(root), "{text}");
            match binding {
                "" => text.replace(&format!("{root},"), ""),
                binding => text.replace(root, binding),
            }
        });
        let mut connection = Connection::open(server.address()).unwrap();
        let accounts = connection.call(&Request::new("GET", "/v1.0")).unwrap();
        assert_eq!(accounts.status, 500);
        server.assert_logs(logged);
    }
}

/// Serves what wrangler has packed, with workerd's configuration, changed.
fn serve(name: &str, change: impl Fn(&str) -> String) -> (Server, TempDir) {
    let packed = std::env::var_os("BURROW_PACKED").map(PathBuf::from);
    let packed = packed.expect("BURROW_PACKED names what wrangler has packed");
    let files = fs::read_dir(&packed).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let modules: Vec<String> = names.filter(|name| name.ends_with(".wasm")).collect();
    let [module] = modules.as_slice() else {
        panic!("{modules:?}")
    };
    // On this machine it has the same classes and bindings.
    let text = fs::read_to_string(config()).unwrap();
    let text = text
        .replace("build/index.js", "index.js")
        .replace("build/index_bg.wasm", module)
        .replace("name = \"index_bg.wasm\"", &format!("name = \"{module}\""));
    assert!(!text.contains("build/"), "{text}");
    let config = packed.join(name);
    fs::write(&config, change(&text)).unwrap();
    let data = tempfile::tempdir().unwrap();
    let program = std::env::var_os("BURROW_WORKERD").expect("BURROW_WORKERD names workerd");
    let folder = format!("--directory-path=data={}", data.path().display());
    let launch = Launch::workerd(program, &config).argument(folder);
    (launch.start().unwrap(), data)
}

/// A class or a binding that is forgotten there is missed only when it is deployed.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn wrangler_knows_the_objects_that_workerd_knows() {
    let deployed = fs::read_to_string(config().with_file_name("wrangler.jsonc")).unwrap();
    let served = fs::read_to_string(config()).unwrap();
    let mut objects = 0;
    for line in served
        .lines()
        .filter(|line| line.contains("durableObjectNamespace ="))
    {
        let named: Vec<&str> = line.split('"').collect();
        let [_, binding, _, class, ..] = named.as_slice() else {
            panic!("{line}")
        };
        let wanted = format!(r#"{{ "name": "{binding}", "class_name": "{class}" }}"#);
        assert!(deployed.contains(&wanted), "{wanted}");
        let migrations = deployed.split_once("migrations").unwrap().1;
        assert!(migrations.contains(&format!("\"{class}\"")), "{class}");
        objects += 1;
    }
    assert_eq!(objects, 4);
}
